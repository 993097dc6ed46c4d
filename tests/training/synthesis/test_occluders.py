"""Tests of occluders."""

import numpy as np

from tests.training.synthesis.synthetic_landmarks import frontal_landmarks
from training.synthesis.occluders import add_occluders


def test_add_occluders_mask_is_independent_of_image():
    landmarks = frontal_landmarks()
    occluded_count = 0
    for seed in range(120):
        tones = [np.full((100, 100, 3), tone, np.float32) for tone in (0.2, 0.7)]
        low, high = (add_occluders(np.random.default_rng(seed), tone, landmarks) for tone in tones)
        if not high[2].any():
            continue
        occluded_count += 1
        assert high[1]
        np.testing.assert_array_equal(low[2], high[2])
    assert occluded_count > 5

"""The per-person baseline against a plain percentile, and in a pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.outputs.neutral_baseline import (
    LARGEST_SHIFT,
    MEMORY,
    PERCENTILE,
    SAMPLE_STEP_S,
    WARM_UP_S,
    NeutralBaseline,
)

NEUTRAL = np.full(12, -2.0, np.float32)


def test_after_the_warm_up_the_low_percentile_is_taken_off() -> None:
    random = np.random.default_rng(3)
    stream = random.normal(0.5, 1.0, (1000, 12)).astype(np.float32)
    own = NeutralBaseline(NEUTRAL)
    for k, logit in enumerate(stream):
        corrected = own.update(logit, k * SAMPLE_STEP_S)
        kept = stream[max(0, k + 1 - MEMORY) : k + 1]
        share = min(1.0, k * SAMPLE_STEP_S / WARM_UP_S)
        excess = np.clip(np.percentile(kept, PERCENTILE, axis=0) + 2.0, 0, LARGEST_SHIFT)
        np.testing.assert_allclose(corrected, logit - share * excess, atol=1e-5)


def test_a_face_that_rests_low_is_left_alone() -> None:
    own = NeutralBaseline(NEUTRAL)
    low = np.full(12, -5.0, np.float32)
    for k in range(100):
        np.testing.assert_array_equal(own.update(low, 0.1 * k), low)


def test_frames_between_samples_do_not_crowd_the_memory() -> None:
    own = NeutralBaseline(NEUTRAL)
    rest, smile = np.zeros(12, np.float32), np.full(12, 3.0, np.float32)
    for k in range(300):  # ten seconds at rest, at 30 frames a second
        own.update(rest, k / 30)
    for k in range(300, 450):  # five seconds of a smile
        corrected = own.update(smile, k / 30)
    assert corrected == pytest.approx(np.full(12, 1.0), abs=1e-4)  # 3 less the excess of 2 at rest

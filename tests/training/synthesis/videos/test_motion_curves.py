"""Tests of envelopes and smooth noise."""

import numpy as np
import pytest

from training.synthesis.videos.motion_curves import onset_apex_offset, smooth_noise

FPS = 25.0
TIME_S = (np.arange(300) / FPS).astype(np.float32)


def test_onset_apex_offset_rises_holds_and_falls():
    track = onset_apex_offset(TIME_S, 2.0, 6.0, 0.5, 1.0)
    assert track[TIME_S <= 2.0].max() == 0
    assert track[(TIME_S >= 2.5) & (TIME_S <= 5.0)].min() == 1
    assert track[TIME_S >= 6.0].max() == 0
    assert np.all(np.diff(track[TIME_S <= 3]) >= 0)


def test_smooth_noise_has_unit_variance_and_small_steps():
    track = smooth_noise(np.random.default_rng(1), 40_000, FPS, 0.4)
    assert track.std() == pytest.approx(1, abs=0.07)
    assert np.abs(np.diff(track)).max() < 0.5

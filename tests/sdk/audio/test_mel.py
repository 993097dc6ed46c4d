"""Counts of samples and mel frames, and levels. Spectra are tested in tests/training/audio."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.audio.mel import MelConfig, fixed_floor_db, frame_count, mel_power, sample_count

RANDOM = np.random.default_rng(3)


def test_frame_count_covers_frames_without_later_samples() -> None:
    """Changing the samples after some point changes the next frame and none before it."""
    config = MelConfig()
    audio = RANDOM.standard_normal(6000).astype(np.float32)
    changed = audio.copy()
    cut = 4410 + 100
    changed[cut:] *= -2
    known = frame_count(cut, config)
    first, second = mel_power(audio, config), mel_power(changed, config)
    assert np.array_equal(first[:known], second[:known])
    assert not np.allclose(first[known], second[known], rtol=1e-4)


def test_sample_count_is_robust_to_rounding_of_times() -> None:
    config = MelConfig()
    times = [k / 10 for k in range(50)]
    assert [sample_count(t, 44100) for t in times] == [4410 * k for k in range(50)]
    assert [frame_count(sample_count(t, 44100), config) for t in times] == [
        10 * k for k in range(50)
    ]
    assert sample_count(-0.3, 44100) == 0


def test_fixed_floor_db_of_silence_is_the_floor() -> None:
    config = MelConfig()
    silence = fixed_floor_db(np.zeros((2, 64), np.float32), config)
    assert silence == pytest.approx((config.floor_db + config.shift_db) / config.scale_db)
    loud = fixed_floor_db(np.full((1, 64), 1e3, np.float32), config)
    assert loud == pytest.approx((30 + config.shift_db) / config.scale_db, abs=1e-5)

"""Audio in pieces of any length gives the frames of the whole, each no later than its last sample."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.audio.mel import MelConfig, fixed_floor_db, frame_count, mel_power, sample_count
from faceaffect.audio.mel_stream import MelStream

SMALL = MelConfig(rate_hz=1600, window_s=0.02, hop_s=0.01, fft=64, bands=6, high_hz=800)
RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize(
    "config",
    [SMALL, MelConfig(rate_hz=1600, window_s=0.04, hop_s=0.01, fft=64, bands=6, high_hz=800)],
)
@pytest.mark.parametrize(
    "lengths", [[1] * 400, [400], [0, 3, 200, 0, 5, 7, 150, 35], [15, 17] * 12 + [16]]
)
def test_pieces_give_the_frames_of_the_whole(config: MelConfig, lengths: list[int]) -> None:
    audio = RANDOM.standard_normal(400).astype(np.float32)
    stream, at, found = MelStream(config), 0, []
    for length in lengths:
        found.append(stream.push(audio[at : at + length]))
        at += length
        assert sum(map(len, found)) == frame_count(at, config)
    power = np.concatenate(found)
    assert len(power) > 20
    assert power == pytest.approx(mel_power(audio, config)[: len(power)], rel=1e-5, abs=1e-7)


def test_a_frame_is_known_only_once_its_last_sample_is() -> None:
    """Audio that differs from some sample on must leave all frames known before it as they are, and
    change the next.
    """
    config = MelConfig()
    audio = RANDOM.standard_normal(6000).astype(np.float32)
    other = audio.copy()
    cut = 4410 + 100
    other[cut:] *= -2
    known = frame_count(cut, config)
    first, second = mel_power(audio, config), mel_power(other, config)
    assert np.array_equal(first[:known], second[:known])
    assert not np.allclose(first[known], second[known], rtol=1e-4)


def test_times_that_are_whole_samples_are_not_lost_to_rounding() -> None:
    config = MelConfig()
    times = [k / 10 for k in range(50)]
    assert [sample_count(t, 44100) for t in times] == [4410 * k for k in range(50)]
    assert [frame_count(sample_count(t, 44100), config) for t in times] == [
        10 * k for k in range(50)
    ]
    assert sample_count(-0.3, 44100) == 0


def test_silence_of_a_stretch_is_the_fixed_floor() -> None:
    config = MelConfig()
    quiet = fixed_floor_db(np.zeros((2, 64), np.float32), config)
    assert quiet == pytest.approx((config.floor_db + config.shift_db) / config.scale_db)
    loud = fixed_floor_db(np.full((1, 64), 1e3, np.float32), config)
    assert loud == pytest.approx((30 + config.shift_db) / config.scale_db, abs=1e-5)

"""Mel power of a running signal, compared with that of the complete signal."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.audio.mel import MelConfig, frame_count, mel_power
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
def test_mel_stream_of_any_chunk_lengths_equals_mel_power(
    config: MelConfig, lengths: list[int]
) -> None:
    audio = RANDOM.standard_normal(400).astype(np.float32)
    stream = MelStream(config)
    position, frames = 0, []
    for length in lengths:
        frames.append(stream.push(audio[position : position + length]))
        position += length
        assert sum(map(len, frames)) == frame_count(position, config)
    power = np.concatenate(frames)
    assert len(power) > 20
    assert power == pytest.approx(mel_power(audio, config)[: len(power)], rel=1e-5, abs=1e-7)

"""Mel power of audio that is still coming in: each frame as soon as its last sample is there."""

from __future__ import annotations

import numpy as np

from faceaffect.audio.mel import MelConfig, frame_power
from faceaffect.types import FloatArray


class MelStream:
    """The frames of `mel_power` over all samples pushed so far, in order; each comes once."""

    def __init__(self, config: MelConfig) -> None:
        self._config = config
        # From fft / 2 samples before the center of the next frame on: silence before the first.
        self._tail = np.zeros(config.fft // 2, np.float32)

    def push(self, samples: FloatArray) -> FloatArray:
        """The next samples [n] of a mono signal -> the frames [k, bands] that they complete."""
        config = self._config
        tail = np.concatenate([self._tail, samples])
        # The window ends before the FFT does: of what lies beyond it nothing is used.
        count = (len(tail) - (config.fft // 2 + config.reach)) // config.hop + 1
        if count <= 0:
            self._tail = tail
            return np.zeros((0, config.bands), np.float32)
        needed = (count - 1) * config.hop + config.fft
        padded = np.concatenate([tail, np.zeros(max(0, needed - len(tail)), np.float32)])
        self._tail = tail[count * config.hop :]
        return frame_power(padded[:needed], config)

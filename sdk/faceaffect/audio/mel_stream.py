"""Mel power of a running audio signal."""

from __future__ import annotations

import numpy as np

from faceaffect.audio.mel import MelConfig, frame_power
from faceaffect.types import FloatArray


class MelStream:
    """Computes the frames of `mel_power` over all samples pushed so far, each as early as possible.

    Every frame is returned once, in order.
    """

    def __init__(self, config: MelConfig) -> None:
        """Start with silence."""
        self._config = config
        # Samples from fft / 2 before the center of the next frame on; silence before the first.
        self._tail = np.zeros(config.fft // 2, np.float32)

    def push(self, samples: FloatArray) -> FloatArray:
        """Add the next samples [n] of a mono signal; return the frames [k, bands] they complete."""
        config = self._config
        tail = np.concatenate([self._tail, samples])
        # The window ends before the FFT does: samples beyond it are multiplied by 0.
        count = (len(tail) - (config.fft // 2 + config.reach)) // config.hop + 1
        if count <= 0:
            self._tail = tail
            return np.zeros((0, config.bands), np.float32)
        needed = (count - 1) * config.hop + config.fft
        padded = np.concatenate([tail, np.zeros(max(0, needed - len(tail)), np.float32)])
        self._tail = tail[count * config.hop :]
        return frame_power(padded[:needed], config)

"""The figures of the log-mel front end; what they mean stands in `mel.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MelConfig:
    """The front end's figures; the default is the one that the methods share."""

    rate_hz: int = 44100
    window_s: float = 0.020
    hop_s: float = 0.010
    fft: int = 1024
    bands: int = 64
    low_hz: float = 0.0
    high_hz: float = 22050.0
    top_db: float = 80.0
    floor_db: float = -50.0  # a voice recorded at full scale peaks near 39 dB
    shift_db: float = 14.8
    scale_db: float = 19.895

    def __post_init__(self) -> None:
        if self.window > self.fft:
            raise ValueError(
                f"a window of {self.window} samples does not fit into an FFT of {self.fft}"
            )
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ValueError(
                f"bands must lie in 0 to {self.rate_hz / 2} Hz, got {self.low_hz} to {self.high_hz}"
            )
        if abs(self.hop_s * self.rate_hz - self.hop) > 1e-6:
            raise ValueError(
                f"a hop of {self.hop_s} s is no whole number of samples at {self.rate_hz} Hz"
            )

    @property
    def window(self) -> int:
        return round(self.window_s * self.rate_hz)

    @property
    def hop(self) -> int:
        return round(self.hop_s * self.rate_hz)

    @property
    def reach(self) -> int:
        """How many samples from its center on a frame needs; beyond them the window is 0."""
        return (self.fft - self.window) // 2 + self.window - self.fft // 2

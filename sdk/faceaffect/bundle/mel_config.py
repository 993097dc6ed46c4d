"""Parameters of the log-mel front end, as stored in `spec.json`; `audio/mel.py` implements it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MelConfig:
    """Log-mel parameters; the defaults are shared by all methods."""

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
                f"expected a window of at most {self.fft} samples (the FFT size), got {self.window}"
            )
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ValueError(
                f"expected bands within 0 to {self.rate_hz / 2} Hz, "
                f"got {self.low_hz} to {self.high_hz}"
            )
        if abs(self.hop_s * self.rate_hz - self.hop) > 1e-6:
            raise ValueError(
                f"expected a hop of an integer number of samples at {self.rate_hz} Hz, "
                f"got {self.hop_s} s"
            )

    @property
    def window(self) -> int:
        """Window length in samples."""
        return round(self.window_s * self.rate_hz)

    @property
    def hop(self) -> int:
        """Hop length in samples."""
        return round(self.hop_s * self.rate_hz)

    @property
    def reach(self) -> int:
        """Samples that a frame needs after its center; the window is 0 beyond them."""
        return (self.fft - self.window) // 2 + self.window - self.fft // 2

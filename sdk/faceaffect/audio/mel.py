"""Log-mel spectrograms in NumPy.

    power[j, f] = | sum_k w[k] x[j hop - fft/2 + k] exp(-2 pi i f k / fft) |^2,  f = 0 .. fft/2
    mel[j, b]   = sum_f power[j, f] bank[f, b]
    db[j, b]    = 10 log10 max(mel[j, b], 1e-10), clipped from below at
                  max(db) - top_db   (`normalized_db`), or
                  floor_db           (`fixed_floor_db`, for audio that arrives in chunks, whose
                                      maximum is not known)
    out[b, j]   = (db[j, b] + 14.8) / 19.895

Frame j is centered on sample j hop; the signal is padded with silence. w is the periodic Hann
window of `window_s`, centered in the `fft` samples. The bank has triangles of height 1 (no area
normalization) whose corners are equally spaced between `low_hz` and `high_hz` on the HTK mel
scale, 2595 log10(1 + f / 700). Width, hop, bands, top_db and the two constants are those of the
audio-visual entries of ABAW 2020 and 2021 (TSAV and its successors); those pad by reflection,
silence is used here so that a frame of a running signal depends on no later sample.

Video models receive audio in steps of `STEP_FRAMES`, counted from the first sample: at the time of
an image they know the steps whose every sample is earlier. Training and runtime split audio by
this one rule.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.bundle.mel_config import MelConfig

__all__ = [
    "STEP_FRAMES",
    "MelConfig",
    "fixed_floor_db",
    "frame_count",
    "frame_power",
    "hz_to_mel",
    "log_mel",
    "mel_bank",
    "mel_power",
    "mel_to_hz",
    "normalized_db",
    "sample_count",
]

STEP_FRAMES: Final = 10
"""Mel frames in a step: the features of the audio are updated every 100 ms."""
_POWER_FLOOR: Final = 1e-10
# Of a sample: the error that a time in seconds may have as a binary number.
_ROUNDING_SAMPLES: Final = 1e-3


def hz_to_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Convert frequencies to the HTK mel scale."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hz, np.float64) / 700))


def mel_to_hz(mel: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Convert mels of the HTK scale to frequencies."""
    return np.asarray(700 * (10 ** (np.asarray(mel, np.float64) / 2595) - 1))


@lru_cache(maxsize=8)
def mel_bank(config: MelConfig) -> NDArray[np.float32]:
    """Return the triangular filters [fft / 2 + 1, bands]."""
    bins = np.arange(config.fft // 2 + 1) * (config.rate_hz / config.fft)
    corners = mel_to_hz(
        np.linspace(hz_to_mel(config.low_hz), hz_to_mel(config.high_hz), config.bands + 2)
    )
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins[:, None] - low) / (middle - low)
    falling = (high - bins[:, None]) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


@lru_cache(maxsize=8)
def _window(config: MelConfig) -> NDArray[np.float32]:
    window = np.zeros(config.fft, np.float32)
    start = (config.fft - config.window) // 2
    window[start : start + config.window] = 0.5 - 0.5 * np.cos(
        2 * np.pi * np.arange(config.window) / config.window
    )
    return window


def mel_power(
    samples: NDArray[np.float32], config: MelConfig, *, block: int = 2048
) -> NDArray[np.float32]:
    """Compute the mel power [n // hop + 1, bands] of a mono signal [n].

    Args:
        samples: samples [n].
        config: the front end.
        block: number of frames to transform at a time.

    Raises:
        ValueError: the samples are not mono, or not finite.
    """
    if samples.ndim != 1:
        raise ValueError(
            "expected samples [n] (mono: average the channels first), "
            f"got shape {list(samples.shape)}"
        )
    if not np.isfinite(samples).all():
        raise ValueError("expected finite samples, got NaN or infinity")
    half = config.fft // 2
    padded = np.concatenate(
        [np.zeros(half, np.float32), samples.astype(np.float32), np.zeros(half, np.float32)]
    )
    return frame_power(padded, config, block=block)


def frame_power(
    padded: NDArray[np.float32], config: MelConfig, *, block: int = 2048
) -> NDArray[np.float32]:
    """Compute the mel power [k, bands] of the k frames of `fft` samples in a padded signal."""
    frames = np.lib.stride_tricks.sliding_window_view(padded, config.fft)[:: config.hop]
    power = np.empty((len(frames), config.bands), np.float32)
    for k in range(0, len(frames), block):
        spectrum = np.fft.rfft(frames[k : k + block] * _window(config), axis=1)
        power[k : k + block] = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ mel_bank(
            config
        )
    return power


def normalized_db(power: NDArray[np.float32], config: MelConfig) -> NDArray[np.float32]:
    """Return network inputs [..., bands, frames] of mel power [..., frames, bands].

    The maximum that `top_db` refers to is that of each [frames, bands] array.
    """
    db = 10 * np.log10(np.maximum(power, _POWER_FLOOR))
    if db.size:
        db = np.maximum(db, db.max(axis=(-2, -1), keepdims=True) - config.top_db)
    return np.swapaxes((db + config.shift_db) / config.scale_db, -1, -2).astype(np.float32)


def fixed_floor_db(power: NDArray[np.float32], config: MelConfig) -> NDArray[np.float32]:
    """Return network inputs [..., frames, bands] of mel power, for audio that arrives in chunks."""
    db = np.maximum(10 * np.log10(np.maximum(power, _POWER_FLOOR)), config.floor_db)
    return np.asarray((db + config.shift_db) / config.scale_db, np.float32)


def sample_count(offset_s: float, rate_hz: int) -> int:
    """Return the number of samples in the first `offset_s` seconds of a signal."""
    return max(0, int(np.floor(offset_s * rate_hz + _ROUNDING_SAMPLES)))


def frame_count(samples: int, config: MelConfig) -> int:
    """Return the number of mel frames that the first `samples` samples determine."""
    return max(0, (samples - config.reach) // config.hop + 1)


def log_mel(samples: NDArray[np.float32], config: MelConfig | None = None) -> NDArray[np.float32]:
    """Compute the log-mel spectrogram [bands, n // hop + 1] of a mono signal [n]."""
    config = config or MelConfig()
    return normalized_db(mel_power(samples, config), config)

"""Curves over time used by all tracks: minimum jerk ramps, envelopes, smooth noise."""

from __future__ import annotations

import numpy as np

from training.synthesis.head_mesh import FloatArray


def minimum_jerk(t: FloatArray) -> FloatArray:
    """Returns the minimum jerk curve from 0 to 1 (Flash and Hogan 1985), clamped outside 0..1."""
    s = np.clip(t, 0.0, 1.0)
    return np.asarray(s * s * s * (10.0 - 15.0 * s + 6.0 * s * s), np.float32)


def ramp(value: FloatArray, low: float, high: float) -> FloatArray:
    """Returns a smooth step: 0 up to `low`, 1 from `high` on."""
    return minimum_jerk((np.asarray(value, np.float32) - low) / (high - low))


def onset_apex_offset(
    time_s: FloatArray, start_s: float, end_s: float, onset_s: float, offset_s: float
) -> FloatArray:
    """Returns an envelope [n] that rises during `onset_s` and falls during `offset_s`."""
    rise = minimum_jerk((time_s - start_s) / onset_s)
    fall = minimum_jerk((end_s - time_s) / offset_s)
    return np.asarray(np.minimum(rise, fall), np.float32)


def smooth_noise(rng: np.random.Generator, count: int, fps: float, tau_s: float) -> FloatArray:
    """Samples unit variance noise [count]: white noise after two low-passes of time `tau_s`.

    The second low-pass makes the velocity finite, as for a mass.
    """
    decay = float(np.exp(-1.0 / (fps * tau_s)))
    warm_up = int(6 * tau_s * fps) + 1
    white = rng.normal(size=warm_up + count)
    track = np.empty_like(white)
    a = b = 0.0
    for k, step in enumerate(white):
        a = decay * a + (1 - decay) * step
        b = decay * b + (1 - decay) * a
        track[k] = b
    # Variance of white noise after two cascaded low-passes.
    variance = (1 - decay) ** 4 * (1 + decay**2) / (1 - decay**2) ** 3
    return np.asarray(track[warm_up:] / np.sqrt(variance), np.float32)


def low_pass(track: FloatArray, fps: float, sigma_s: float) -> FloatArray:
    """Applies a Gaussian filter without delay to a track [n]; edges are repeated."""
    radius = max(1, int(np.ceil(3 * sigma_s * fps)))
    offsets = np.arange(-radius, radius + 1) / fps
    kernel = np.exp(-0.5 * (offsets / sigma_s) ** 2)
    padded = np.pad(np.asarray(track, np.float64), radius, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), mode="valid"), np.float32)

"""Curves over time that all tracks are made of."""

from __future__ import annotations

import numpy as np

from training.synthesis.head_mesh import FloatArray


def minimum_jerk(share: FloatArray) -> FloatArray:
    """0 to 1 as a movement of least jerk goes (Flash and Hogan 1985); flat outside 0..1."""
    s = np.clip(share, 0.0, 1.0)
    return np.asarray(s * s * s * (10.0 - 15.0 * s + 6.0 * s * s), np.float32)


def ramp(value: FloatArray, low: float, high: float) -> FloatArray:
    """0 up to `low`, 1 from `high` on, smooth between."""
    return minimum_jerk((np.asarray(value, np.float32) - low) / (high - low))


def onset_apex_offset(
    time_s: FloatArray, start_s: float, end_s: float, onset_s: float, offset_s: float
) -> FloatArray:
    """Envelope [n]: rises for `onset_s` from the start, falls for `offset_s` to the end."""
    rise = minimum_jerk((time_s - start_s) / onset_s)
    fall = minimum_jerk((end_s - time_s) / offset_s)
    return np.asarray(np.minimum(rise, fall), np.float32)


def smooth_noise(rng: np.random.Generator, count: int, fps: float, tau_s: float) -> FloatArray:
    """Noise [count] of unit variance: white noise through two equal low-passes of time constant
    `tau_s`.

    The second low-pass makes its derivative finite, as that of a mass is.
    """
    keep = float(np.exp(-1.0 / (fps * tau_s)))
    warm_up = int(6 * tau_s * fps) + 1
    white = rng.normal(size=warm_up + count)
    track = np.empty_like(white)
    a = b = 0.0
    for k, step in enumerate(white):
        a = keep * a + (1 - keep) * step
        b = keep * b + (1 - keep) * a
        track[k] = b
    variance = (
        (1 - keep) ** 4 * (1 + keep**2) / (1 - keep**2) ** 3
    )  # of two cascaded low-passes on white noise
    return np.asarray(track[warm_up:] / np.sqrt(variance), np.float32)


def low_pass(track: FloatArray, fps: float, sigma_s: float) -> FloatArray:
    """Track [n] blurred by a Gaussian, edges repeated; no delay."""
    reach = max(1, int(np.ceil(3 * sigma_s * fps)))
    offsets = np.arange(-reach, reach + 1) / fps
    kernel = np.exp(-0.5 * (offsets / sigma_s) ** 2)
    padded = np.pad(np.asarray(track, np.float64), reach, mode="edge")
    return np.asarray(np.convolve(padded, kernel / kernel.sum(), mode="valid"), np.float32)

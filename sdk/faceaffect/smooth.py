"""Causal smoothing over time: landmarks by the One Euro filter, scores by an exponential mean. Off by a switch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.types import FloatArray

DEFAULT_STEP_S: Final[float] = 1 / 30
"""Assumed between two frames whose time stamps do not grow."""


@dataclass(frozen=True, slots=True)
class OneEuroSettings:
    """Cut-off = min_cutoff_hz + beta * speed; speed in eye distances a second, so a face's size does not matter.

    A still face is smoothed at `min_cutoff_hz`; at the speed of a head turn (2 eye distances a second and more) the
    cut-off is so high that no lag is seen.
    """

    min_cutoff_hz: float = 2.0
    beta: float = 6.0
    speed_cutoff_hz: float = 3.0


class OneEuro:
    """One Euro filter (Casiez, Roussel and Vogel 2012) over points [L, 2] that share one speed.

    The speed is that of the points' mean, so the jitter of single points does not open the filter.
    """

    def __init__(self, settings: OneEuroSettings | None = None) -> None:
        self._settings = settings or OneEuroSettings()
        self._points: FloatArray | None = None
        self._speed_x = self._speed_y = 0.0

    def step(self, points_xy: FloatArray, unit_px: float, step_s: float) -> FloatArray:
        """Filtered points; `unit_px` is the eye distance in pixels, `step_s` the time since the last call."""
        previous = self._points
        if previous is None:
            self._points = points_xy
            return points_xy
        step_s = step_s if step_s > 0 else DEFAULT_STEP_S
        move = points_xy - previous
        x, y = np.add.reduce(move, axis=0).tolist()
        unit = len(move) * max(unit_px, 1e-3) * step_s
        share = _share(self._settings.speed_cutoff_hz, step_s)
        self._speed_x += share * (x / unit - self._speed_x)
        self._speed_y += share * (y / unit - self._speed_y)
        cutoff_hz = self._settings.min_cutoff_hz + self._settings.beta * math.hypot(self._speed_x, self._speed_y)
        self._points = previous + np.float32(_share(cutoff_hz, step_s)) * move
        return self._points


def _share(cutoff_hz: float, step_s: float) -> float:
    """Weight of the newest value in a first-order low-pass filter."""
    rate = 2 * math.pi * cutoff_hz * step_s
    return rate / (rate + 1)


class ExponentialMean:
    """Exponential mean of a vector with a time constant, so that it does not depend on the frame rate."""

    def __init__(self, constant_s: float = 0.08) -> None:
        self._constant_s = constant_s
        self._mean: FloatArray | None = None

    def step(self, values: FloatArray, step_s: float) -> FloatArray:
        """The mean after `values`, `step_s` seconds after the last call."""
        if self._mean is None:
            self._mean = values
        else:
            step_s = step_s if step_s > 0 else DEFAULT_STEP_S
            share = np.float32(1 - math.exp(-step_s / self._constant_s))
            self._mean = np.asarray(self._mean + share * (values - self._mean), np.float32)
        return self._mean

"""Causal smoothing over time: landmarks by the One Euro filter, scores by an exponential mean. Off
by a switch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.kernels.native import native
from faceaffect.types import BoolArray, FloatArray

DEFAULT_STEP_S: Final[float] = 1 / 30
"""Assumed between two frames whose time stamps do not grow."""

SCORES_CONSTANT_S: Final = 0.15
"""Time constant of AU and expression scores over time, in seconds, for small changes."""

ADAPTIVE_EMA_JUMP: Final = 0.25
"""A change of an AU or expression score as large as this is followed at once; smaller ones the more
the larger they are, by the square. A still face is calm, and an onset does not lag: the thought
of the One Euro filter, for scores.
"""

VA_CONSTANT_S: Final = 0.25
"""The same of valence and arousal: what is felt follows the face with inertia (Kuppens, Oravecz and
Tuerlinckx 2010).
"""


@dataclass(frozen=True, slots=True)
class OneEuroConfig:
    """Cut-off = min_cutoff_hz + beta * speed; speed in eye distances a second, so a face's size
    does not matter.

    A still face is smoothed at `min_cutoff_hz`; at the speed of a head turn (2 eye distances a
    second and more) the cut-off is so high that no lag is seen.
    """

    min_cutoff_hz: float = 2.0
    beta: float = 6.0
    derivative_cutoff_hz: float = 3.0


class OneEuroFilter:
    """One Euro filter (Casiez, Roussel and Vogel 2012) over points [L, 2] that share one speed.

    The speed is that of the points' mean, so the jitter of single points does not open the filter.
    """

    def __init__(self, settings: OneEuroConfig | None = None) -> None:
        self._settings = settings or OneEuroConfig()
        self._points: FloatArray | None = None
        self._speed_x = self._speed_y = 0.0

    def step(self, points_xy: FloatArray, unit_px: float, step_s: float) -> FloatArray:
        """Filtered points; `unit_px` is the eye distance in pixels, `step_s` the time since the
        last call.
        """
        previous = self._points
        if previous is None:
            self._points = points_xy
            return points_xy
        step_s = step_s if step_s > 0 else DEFAULT_STEP_S
        if native is not None:
            limits = self._settings
            self._points, self._speed_x, self._speed_y = native.one_euro(
                points_xy, previous, self._speed_x, self._speed_y, unit_px, step_s,
                limits.min_cutoff_hz, limits.beta, limits.derivative_cutoff_hz,
            )  # fmt: skip
            return self._points
        move = points_xy - previous
        x, y = np.add.reduce(move, axis=0).tolist()
        unit = len(move) * max(unit_px, 1e-3) * step_s
        share = _share(self._settings.derivative_cutoff_hz, step_s)
        self._speed_x += share * (x / unit - self._speed_x)
        self._speed_y += share * (y / unit - self._speed_y)
        cutoff_hz = self._settings.min_cutoff_hz + self._settings.beta * math.hypot(
            self._speed_x, self._speed_y
        )
        self._points = previous + np.float32(_share(cutoff_hz, step_s)) * move
        return self._points


def _share(cutoff_hz: float, step_s: float) -> float:
    """Weight of the newest value in a first-order low-pass filter."""
    rate = 2 * math.pi * cutoff_hz * step_s
    return rate / (rate + 1)


def ema_alpha(step_s: float, constant_s: float = SCORES_CONSTANT_S) -> float:
    """Weight of the newest value in an exponential mean `step_s` after the last, which thus forgets
    the frame rate.
    """
    step_s = step_s if step_s > 0 else DEFAULT_STEP_S
    return 1 - math.exp(-step_s / constant_s)


HYSTERESIS_MARGIN: Final = 0.05
"""How far past its threshold a smoothed AU score must go before a decision that was made is
changed.
"""


@dataclass(frozen=True, slots=True, eq=False)
class HysteresisThresholds:
    """Where an AU that is on goes off, its threshold, and where one that is off comes on, [12]
    each.

    The margin is `HYSTERESIS_MARGIN`, and never more than half of the way to 0 or 1, so that
    every AU can change.
    """

    goes_off: FloatArray
    threshold: FloatArray
    comes_on: FloatArray

    @staticmethod
    def of(thresholds: tuple[float, ...]) -> HysteresisThresholds:
        """Of a threshold for each AU [12]."""
        threshold = np.asarray(thresholds, np.float32)
        margin = np.minimum(HYSTERESIS_MARGIN, 0.5 * np.minimum(threshold, 1 - threshold)).astype(
            np.float32
        )
        return HysteresisThresholds(threshold - margin, threshold, threshold + margin)


class ScoreSmoother:
    """Exponential mean of one face's scores that large changes pass, and AU decisions that keep to
    the frame before.

    Time constants make the mean of small changes independent of the frame rate; a score that
    hovers about its threshold flips nothing.
    """

    def __init__(
        self,
        limits: HysteresisThresholds,
        constant_s: float = SCORES_CONSTANT_S,
        va_constant_s: float = VA_CONSTANT_S,
    ) -> None:
        self._limits, self._constant_s, self._va_constant_s = limits, constant_s, va_constant_s
        self._mean = np.zeros(0, np.float32)
        self._on = np.zeros(len(limits.threshold), np.bool_)

    def step(self, scores: FloatArray, step_s: float) -> BoolArray:
        """`scores` [21] of a frame (12 AUs first, valence and arousal last) become their mean, in
        place; gives the AU decisions [12], which the next step may write over.
        """
        is_first, limits = not len(self._mean), self._limits
        if is_first:
            self._mean = scores.copy()
        share, va_share = (
            ema_alpha(step_s, self._constant_s),
            ema_alpha(step_s, self._va_constant_s),
        )
        if native is not None:
            native.smooth_scores(
                scores, self._mean, self._on, is_first, share, va_share, ADAPTIVE_EMA_JUMP,
                limits.goes_off, limits.threshold, limits.comes_on,
            )  # fmt: skip
            return self._on
        if not is_first:
            change = scores[:-2] - self._mean[:-2]
            size = np.minimum(np.float32(1), np.abs(change) / np.float32(ADAPTIVE_EMA_JUMP))
            self._mean[:-2] += (np.float32(share) + np.float32(1 - share) * (size * size)) * change
            self._mean[-2:] += np.float32(va_share) * (scores[-2:] - self._mean[-2:])
        scores[:] = self._mean
        limit = (
            limits.threshold if is_first else np.where(self._on, limits.goes_off, limits.comes_on)
        )
        self._on = scores[: len(limit)] >= limit
        return self._on

"""Causal temporal smoothing of scores: an adaptive exponential mean, with hysteresis for AUs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.kernels import face_ops
from faceaffect.types import DEFAULT_FRAME_INTERVAL_S, BoolArray, FloatArray

SCORES_CONSTANT_S: Final = 0.15
"""Time constant of AU and expression scores for small changes, in seconds."""

ADAPTIVE_EMA_JUMP: Final = 0.25
"""Change of an AU or expression score from which it is not smoothed at all.

The weight of smaller changes grows with their square, so that a still face is calm and an onset
does not lag: the idea of the One Euro filter, for scores.
"""

VA_CONSTANT_S: Final = 0.25
"""Time constant of valence and arousal, in seconds.

Emotion follows the face with inertia (Kuppens, Oravecz and Tuerlinckx 2010).
"""

HYSTERESIS_MARGIN: Final = 0.05
"""How far past its threshold a smoothed AU score must go to change a decision."""


def ema_alpha(step_s: float, constant_s: float = SCORES_CONSTANT_S) -> float:
    """Weight of a new value in an exponential mean, `step_s` seconds after the last value.

    It makes the mean independent of the frame rate.
    """
    step_s = step_s if step_s > 0 else DEFAULT_FRAME_INTERVAL_S
    return 1 - math.exp(-step_s / constant_s)


@dataclass(frozen=True, slots=True, eq=False)
class HysteresisThresholds:
    """Thresholds of AU scores, [12] each.

    Attributes:
        low: Below which an active AU becomes inactive.
        threshold: Of single images, and of the first frame of a track.
        high: From which an inactive AU becomes active.
    """

    low: FloatArray
    threshold: FloatArray
    high: FloatArray

    @staticmethod
    def from_thresholds(thresholds: tuple[float, ...]) -> HysteresisThresholds:
        """Add margins to the thresholds of the AUs [12].

        The margin is `HYSTERESIS_MARGIN`, and at most half of the way to 0 or 1, so that every AU
        can change.
        """
        threshold = np.asarray(thresholds, np.float32)
        margin = np.minimum(HYSTERESIS_MARGIN, 0.5 * np.minimum(threshold, 1 - threshold))
        margin = margin.astype(np.float32)
        return HysteresisThresholds(threshold - margin, threshold, threshold + margin)


class ScoreSmoother:
    """Smooths the scores of one face and decides which of its AUs are active.

    Small changes enter an exponential mean, large ones are followed at once. Time constants make
    the mean of small changes independent of the frame rate; hysteresis keeps a score near its
    threshold from flickering.
    """

    def __init__(
        self,
        thresholds: HysteresisThresholds,
        constant_s: float = SCORES_CONSTANT_S,
        va_constant_s: float = VA_CONSTANT_S,
    ) -> None:
        self._thresholds = thresholds
        self._constant_s = constant_s
        self._va_constant_s = va_constant_s
        self._mean = np.zeros(0, np.float32)
        self._is_active = np.zeros(len(thresholds.threshold), np.bool_)

    def update(self, scores: FloatArray, step_s: float) -> BoolArray:
        """Smooth the scores of the next frame in place.

        Args:
            scores: [21], 12 AUs first, valence and arousal last; replaced by the mean.
            step_s: Time since the last call.

        Returns:
            AU decisions [12], in an array that the next call overwrites.
        """
        is_first = not len(self._mean)
        if is_first:
            self._mean = scores.copy()
        face_ops.smooth_scores(
            scores,
            self._mean,
            self._is_active,
            is_first,
            ema_alpha(step_s, self._constant_s),
            ema_alpha(step_s, self._va_constant_s),
            ADAPTIVE_EMA_JUMP,
            self._thresholds.low,
            self._thresholds.threshold,
            self._thresholds.high,
        )
        return self._is_active

"""Score smoothing: independent of the frame rate, no lag for large changes, hysteresis for AUs."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.outputs.score_smoother import (
    ADAPTIVE_EMA_JUMP,
    HYSTERESIS_MARGIN,
    VA_CONSTANT_S,
    HysteresisThresholds,
    ScoreSmoother,
)
from faceaffect.types import FloatArray

STEP_S = 1 / 30
HALF = HysteresisThresholds.from_thresholds((0.5,) * 12)


def smoothed(smoother: ScoreSmoother, value: float, step_s: float) -> FloatArray:
    scores = np.full(21, value, np.float32)
    smoother.update(scores, step_s)
    return scores


@pytest.mark.parametrize("step_s", [0.0, -5.0])
def test_smoother_with_stalled_clock_assumes_one_frame(step_s: float) -> None:
    mean = ScoreSmoother(HALF)
    usual = ScoreSmoother(HALF)
    for value in (0, 1):
        got, expected = smoothed(mean, value, step_s), smoothed(usual, value, 1 / 30)
    np.testing.assert_allclose(got, expected)


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_smoother_at_other_frame_rate_has_same_time_constant(fps: int) -> None:
    mean = ScoreSmoother(HALF, constant_s=0.2, va_constant_s=0.5)
    smoothed(mean, 0.5, 0)
    for _ in range(fps):
        values = smoothed(mean, 0.5 + 1e-3, 1 / fps)  # too little for a jump
    np.testing.assert_allclose(values[:-2] - 0.5, 1e-3 * (1 - np.exp(-1 / 0.2)), rtol=1e-3)
    np.testing.assert_allclose(values[-2:] - 0.5, 1e-3 * (1 - np.exp(-1 / 0.5)), rtol=1e-3)


def test_smoother_with_large_change_follows_at_once() -> None:
    for change, at_least, at_most in (
        (ADAPTIVE_EMA_JUMP, 1.0, 1.0),
        (0.5 * ADAPTIVE_EMA_JUMP, 0.39, 0.41),
        (0.05 * ADAPTIVE_EMA_JUMP, 0.19, 0.21),
    ):
        for sign in (-1, 1):
            mean = ScoreSmoother(HALF)
            smoothed(mean, 0.5, 0)
            weight = (smoothed(mean, 0.5 + sign * change, STEP_S)[:-2] - 0.5) / (sign * change)
            assert weight.min() >= at_least - 1e-5
            assert weight.max() <= at_most + 1e-5


def test_smoother_with_large_va_change_smooths_it() -> None:
    mean = ScoreSmoother(HALF)
    smoothed(mean, -1, 0)
    np.testing.assert_allclose(
        smoothed(mean, 1, STEP_S)[-2:], -1 + 2 * (1 - np.exp(-STEP_S / VA_CONSTANT_S)), rtol=1e-4
    )


def test_smoother_on_first_frame_returns_scores() -> None:
    np.testing.assert_array_equal(
        smoothed(ScoreSmoother(HALF), 0.7, 0), np.full(21, 0.7, np.float32)
    )


def decisions(smoother: ScoreSmoother, values: FloatArray) -> list[bool]:
    """Decisions after a step so long that the mean is the new value."""
    return smoother.update(
        np.concatenate([values, np.zeros(9, np.float32)]).astype(np.float32), 1e6
    ).tolist()


def test_smoother_within_margin_keeps_decision() -> None:
    thresholds = HysteresisThresholds.from_thresholds(tuple(np.linspace(0.2, 0.8, 12).tolist()))
    near, far = np.float32(0.8 * HYSTERESIS_MARGIN), np.float32(1.2 * HYSTERESIS_MARGIN)
    smoother = ScoreSmoother(thresholds)
    assert decisions(smoother, thresholds.threshold - near) == [False] * 12
    assert decisions(smoother, thresholds.threshold + near) == [False] * 12
    assert decisions(smoother, thresholds.threshold + far) == [True] * 12
    assert decisions(smoother, thresholds.threshold - near) == [True] * 12
    assert decisions(smoother, thresholds.threshold - far) == [False] * 12
    assert decisions(ScoreSmoother(thresholds), thresholds.threshold + near) == [True] * 12, (
        "the first frame has no margin"
    )


def test_smoother_with_extreme_threshold_can_change_decision() -> None:
    smoother = ScoreSmoother(HysteresisThresholds.from_thresholds((0.02,) * 6 + (0.98,) * 6))
    assert decisions(smoother, np.zeros(12, np.float32)) == [False] * 12
    assert decisions(smoother, np.ones(12, np.float32)) == [True] * 12
    assert decisions(smoother, np.zeros(12, np.float32)) == [False] * 12

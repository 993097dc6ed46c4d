"""Smoothing: still faces stop trembling, moving ones do not lag, and neither size nor frame rate
changes that.
"""

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
from faceaffect.tracking.one_euro_filter import OneEuroFilter
from faceaffect.types import FloatArray
from tests.sdk.tiny_bundle import face_shape

STEP_S = 1 / 30
EYES_PX = 35.0
HALF = HysteresisThresholds.from_thresholds((0.5,) * 12)


def run(
    points: list[FloatArray], unit_px: float = EYES_PX, step_s: float = STEP_S
) -> list[FloatArray]:
    smooth = OneEuroFilter()
    return [smooth.update(p.astype(np.float32), unit_px, step_s) for p in points]


def smoothed(smoother: ScoreSmoother, value: float, step_s: float) -> FloatArray:
    scores = np.full(21, value, np.float32)
    smoother.update(scores, step_s)
    return scores


def test_constant_input_stays_constant() -> None:
    for points in run([face_shape()] * 20):
        np.testing.assert_allclose(points, face_shape(), atol=1e-5)


def test_noise_on_a_still_face_falls() -> None:
    random = np.random.default_rng(0)
    noisy = [face_shape() + random.normal(0, 0.5, (68, 2)) for _ in range(120)]
    before, after = np.stack(noisy)[30:], np.stack(run(noisy))[30:]
    assert after.var(axis=0).mean() < 0.35 * before.var(axis=0).mean()


@pytest.mark.parametrize("eyes_per_s", [2.0, 4.0, 8.0])
def test_a_fast_move_lags_less_than_half_a_frame(eyes_per_s: float) -> None:
    move_px = eyes_per_s * EYES_PX * STEP_S
    path = [face_shape() + np.float32([move_px * i, 0]) for i in range(30)]
    lag_px = np.stack([truth - got for truth, got in zip(path, run(path), strict=True)])[..., 0]
    assert lag_px.max() < 1.0 * move_px  # while the filter opens
    assert lag_px[8:].max() < 0.5 * move_px
    assert lag_px.min() > -1e-2 * move_px  # never ahead of the truth


def test_size_of_the_face_changes_nothing() -> None:
    random = np.random.default_rng(1)
    path = [face_shape() + random.normal(0, 1, 2) * i for i in range(20)]
    small, large = run(path), run([4 * points for points in path], unit_px=4 * EYES_PX)
    np.testing.assert_allclose(np.stack(large), 4 * np.stack(small), rtol=1e-4)


def test_one_jittering_point_does_not_open_the_filter() -> None:
    random = np.random.default_rng(2)
    shape = face_shape()
    path = [shape.copy() for _ in range(60)]
    for points in path:
        points[30] += random.normal(0, 10, 2)
    np.testing.assert_allclose(np.stack(run(path))[:, :30], np.stack(path)[:, :30], atol=1e-3)
    assert np.stack(run(path))[10:, 30].var() < 0.5 * np.stack(path)[10:, 30].var()


@pytest.mark.parametrize("step_s", [0.0, -5.0])
def test_a_clock_that_does_not_go_on_counts_as_one_frame(step_s: float) -> None:
    path = [face_shape(), face_shape() + 1]
    np.testing.assert_allclose(run(path, step_s=step_s)[1], run(path, step_s=1 / 30)[1])
    mean, usual = ScoreSmoother(HALF), ScoreSmoother(HALF)
    for value in (0, 1):
        got, wanted = smoothed(mean, value, step_s), smoothed(usual, value, 1 / 30)
    np.testing.assert_allclose(got, wanted)


def test_a_pause_of_seconds_forgets_the_past() -> None:
    smooth = OneEuroFilter()
    smooth.update(face_shape(), EYES_PX, STEP_S)
    np.testing.assert_allclose(
        smooth.update(face_shape() + 100, EYES_PX, 10.0), face_shape() + 100, atol=1.0
    )


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_exponential_mean_does_not_depend_on_the_frame_rate(fps: int) -> None:
    mean = ScoreSmoother(HALF, constant_s=0.2, va_constant_s=0.5)
    smoothed(mean, 0.5, 0)
    for _ in range(fps):
        values = smoothed(mean, 0.5 + 1e-3, 1 / fps)  # so little that no score jumps
    np.testing.assert_allclose(values[:-2] - 0.5, 1e-3 * (1 - np.exp(-1 / 0.2)), rtol=1e-3)
    np.testing.assert_allclose(values[-2:] - 0.5, 1e-3 * (1 - np.exp(-1 / 0.5)), rtol=1e-3)


def test_a_large_change_of_a_score_is_followed_at_once_and_a_small_one_is_not() -> None:
    for change, at_least, at_most in (
        (ADAPTIVE_EMA_JUMP, 1.0, 1.0),
        (0.5 * ADAPTIVE_EMA_JUMP, 0.39, 0.41),
        (0.05 * ADAPTIVE_EMA_JUMP, 0.19, 0.21),
    ):
        for sign in (-1, 1):
            mean = ScoreSmoother(HALF)
            smoothed(mean, 0.5, 0)
            share = (smoothed(mean, 0.5 + sign * change, STEP_S)[:-2] - 0.5) / (sign * change)
            assert share.min() >= at_least - 1e-5
            assert share.max() <= at_most + 1e-5


def test_valence_and_arousal_are_smoothed_however_large_a_change_is() -> None:
    mean = ScoreSmoother(HALF)
    smoothed(mean, -1, 0)
    np.testing.assert_allclose(
        smoothed(mean, 1, STEP_S)[-2:], -1 + 2 * (1 - np.exp(-STEP_S / VA_CONSTANT_S)), rtol=1e-4
    )


def test_exponential_mean_begins_with_the_first_value() -> None:
    np.testing.assert_array_equal(
        smoothed(ScoreSmoother(HALF), 0.7, 0), np.full(21, 0.7, np.float32)
    )


def decisions(smoother: ScoreSmoother, values: FloatArray) -> list[bool]:
    """Of a step so late that the mean is the newest value."""
    return smoother.update(
        np.concatenate([values, np.zeros(9, np.float32)]).astype(np.float32), 1e6
    ).tolist()


def test_a_decision_is_held_until_the_score_is_past_the_margin() -> None:
    limits = HysteresisThresholds.from_thresholds(tuple(np.linspace(0.2, 0.8, 12).tolist()))
    near, far = np.float32(0.8 * HYSTERESIS_MARGIN), np.float32(1.2 * HYSTERESIS_MARGIN)
    smoother = ScoreSmoother(limits)
    assert decisions(smoother, limits.threshold - near) == [False] * 12
    assert decisions(smoother, limits.threshold + near) == [False] * 12
    assert decisions(smoother, limits.threshold + far) == [True] * 12
    assert decisions(smoother, limits.threshold - near) == [True] * 12
    assert decisions(smoother, limits.threshold - far) == [False] * 12
    assert decisions(ScoreSmoother(limits), limits.threshold + near) == [True] * 12, (
        "the first frame has no margin"
    )


def test_an_extreme_threshold_can_still_be_crossed_both_ways() -> None:
    smoother = ScoreSmoother(HysteresisThresholds.from_thresholds((0.02,) * 6 + (0.98,) * 6))
    assert decisions(smoother, np.zeros(12, np.float32)) == [False] * 12
    assert decisions(smoother, np.ones(12, np.float32)) == [True] * 12
    assert decisions(smoother, np.zeros(12, np.float32)) == [False] * 12

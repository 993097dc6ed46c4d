"""One Euro filter: still points stop trembling and moving ones do not lag, at any face size."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.tracking.one_euro_filter import OneEuroFilter
from faceaffect.types import FloatArray
from tests.sdk.tiny_bundle import face_shape

STEP_S = 1 / 30
EYES_PX = 35.0


def run(
    points: list[FloatArray], scale_px: float = EYES_PX, step_s: float = STEP_S
) -> list[FloatArray]:
    one_euro = OneEuroFilter()
    return [one_euro.update(p.astype(np.float32), scale_px, step_s) for p in points]


def test_filter_with_constant_input_returns_it() -> None:
    for points in run([face_shape()] * 20):
        np.testing.assert_allclose(points, face_shape(), atol=1e-5)


def test_filter_with_still_noisy_face_reduces_noise() -> None:
    random = np.random.default_rng(0)
    noisy = [face_shape() + random.normal(0, 0.5, (68, 2)) for _ in range(120)]
    before, after = np.stack(noisy)[30:], np.stack(run(noisy))[30:]
    assert after.var(axis=0).mean() < 0.35 * before.var(axis=0).mean()


@pytest.mark.parametrize("eyes_per_s", [2.0, 4.0, 8.0])
def test_filter_with_fast_move_lags_less_than_half_a_frame(eyes_per_s: float) -> None:
    move_px = eyes_per_s * EYES_PX * STEP_S
    path = [face_shape() + np.float32([move_px * i, 0]) for i in range(30)]
    lag_px = np.stack([truth - got for truth, got in zip(path, run(path), strict=True)])[..., 0]
    assert lag_px.max() < 1.0 * move_px  # while the filter opens
    assert lag_px[8:].max() < 0.5 * move_px
    assert lag_px.min() > -1e-2 * move_px  # never ahead of the truth


def test_filter_with_larger_face_scales_result() -> None:
    random = np.random.default_rng(1)
    path = [face_shape() + random.normal(0, 1, 2) * i for i in range(20)]
    small, large = run(path), run([4 * points for points in path], scale_px=4 * EYES_PX)
    np.testing.assert_allclose(np.stack(large), 4 * np.stack(small), rtol=1e-4)


def test_filter_with_one_jittering_point_stays_closed() -> None:
    random = np.random.default_rng(2)
    shape = face_shape()
    path = [shape.copy() for _ in range(60)]
    for points in path:
        points[30] += random.normal(0, 10, 2)
    np.testing.assert_allclose(np.stack(run(path))[:, :30], np.stack(path)[:, :30], atol=1e-3)
    assert np.stack(run(path))[10:, 30].var() < 0.5 * np.stack(path)[10:, 30].var()


@pytest.mark.parametrize("step_s", [0.0, -5.0])
def test_filter_with_stalled_clock_assumes_one_frame(step_s: float) -> None:
    path = [face_shape(), face_shape() + 1]
    np.testing.assert_allclose(run(path, step_s=step_s)[1], run(path, step_s=1 / 30)[1])


def test_filter_after_long_pause_follows_new_points() -> None:
    one_euro = OneEuroFilter()
    one_euro.update(face_shape(), EYES_PX, STEP_S)
    np.testing.assert_allclose(
        one_euro.update(face_shape() + 100, EYES_PX, 10.0), face_shape() + 100, atol=1.0
    )

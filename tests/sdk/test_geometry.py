"""Alignment: least squares against `numpy.linalg.lstsq`, exact recovery, and inverses."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.geometry import (
    CANONICAL_KEYPOINTS_XY,
    box_from_landmarks,
    estimate_crop_to_frame,
    invert_transforms,
    keypoints_from_landmarks,
    rescale_transforms,
    transform_points,
    transform_roll_deg,
    transform_scale,
)
from faceaffect.types import FloatArray
from tests.sdk.tiny_bundle import face_shape


def similarity_map(scale: float, roll_deg: float, x: float, y: float) -> FloatArray:
    a, b = scale * np.cos(np.radians(roll_deg)), scale * np.sin(np.radians(roll_deg))
    return np.array([[[a, -b, x], [b, a, y]]], np.float32)


def solve_by_lstsq(keypoints_xy: FloatArray, size_px: int) -> FloatArray:
    """a, b, x, y of x' = a u - b v + x, y' = b u + a v + y, from a general solver."""
    template = (CANONICAL_KEYPOINTS_XY.astype(np.float64) + 0.5) * (size_px / 112) - 0.5
    rows, values = [], []
    for (u, v), (x, y) in zip(template, keypoints_xy, strict=True):
        rows += [[u, -v, 1, 0], [v, u, 0, 1]]
        values += [x, y]
    a, b, x, y = np.linalg.lstsq(np.array(rows), np.array(values, np.float64), rcond=None)[0]
    return np.array([[a, -b, x], [b, a, y]], np.float32)


@pytest.mark.parametrize("size_px", [64, 112, 224])
def test_estimate_is_the_least_squares_solution(size_px: int) -> None:
    keypoints = np.random.default_rng(size_px).uniform(0, 640, (20, 5, 2)).astype(np.float32)
    expected = np.stack([solve_by_lstsq(points, size_px) for points in keypoints])
    np.testing.assert_allclose(
        estimate_crop_to_frame(keypoints, size_px), expected, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize(
    ("scale", "roll_deg", "x", "y"),
    [(1, 0, 0, 0), (0.3, 90, 5, -7), (4.5, -170, 600, 300), (2, 25, -90, 1e3)],
)
def test_estimate_of_known_similarity_recovers_it(
    scale: float, roll_deg: float, x: float, y: float
) -> None:
    known = similarity_map(scale, roll_deg, x, y)
    estimate = estimate_crop_to_frame(transform_points(known, CANONICAL_KEYPOINTS_XY[None]))
    np.testing.assert_allclose(estimate, known, rtol=1e-5, atol=2e-3)
    assert transform_scale(estimate)[0] == pytest.approx(scale, rel=1e-4)
    assert transform_roll_deg(estimate)[0] == pytest.approx(roll_deg, abs=0.01)


def test_estimate_of_mirrored_face_has_no_reflection() -> None:
    mirrored = CANONICAL_KEYPOINTS_XY[None] * np.float32([-1, 1])
    transform = estimate_crop_to_frame(mirrored)[0]
    assert np.linalg.det(transform[:, :2]) > 0


def test_estimate_of_coincident_points_has_zero_scale() -> None:
    transforms = estimate_crop_to_frame(np.full((2, 5, 2), 50, np.float32))
    assert np.isfinite(transforms).all()
    np.testing.assert_allclose(transform_scale(transforms), 0, atol=1e-6)
    assert np.isfinite(invert_transforms(transforms)).all()


def test_invert_transforms_is_the_inverse() -> None:
    random = np.random.default_rng(3)
    transforms = np.concatenate(
        [
            similarity_map(s, r, *random.uniform(-500, 500, 2))
            for s, r in random.uniform([0.1, -180], [8, 180], (50, 2))
        ]
    )
    points = random.uniform(0, 112, (50, 68, 2)).astype(np.float32)
    np.testing.assert_allclose(
        transform_points(invert_transforms(transforms), transform_points(transforms, points)),
        points,
        atol=0.02,
    )
    identity = np.broadcast_to(np.eye(2, 3, dtype=np.float32), transforms.shape)
    np.testing.assert_allclose(
        estimate_crop_to_frame(
            transform_points(transforms, np.tile(CANONICAL_KEYPOINTS_XY, (50, 1, 1)))
        ),
        transforms,
        atol=0.01,
    )
    np.testing.assert_allclose(transform_points(identity, points), points)


@pytest.mark.parametrize("size_px", [64, 112, 224])
def test_rescale_transforms_covers_same_part_of_frame(size_px: int) -> None:
    keypoints = np.random.default_rng(4).uniform(0, 640, (6, 5, 2)).astype(np.float32)
    resized = rescale_transforms(estimate_crop_to_frame(keypoints), size_px)
    np.testing.assert_allclose(
        resized, estimate_crop_to_frame(keypoints, size_px), rtol=1e-4, atol=1e-3
    )


def test_geometry_without_faces_returns_empty() -> None:
    none = np.zeros((0, 2, 3), np.float32)
    assert estimate_crop_to_frame(np.zeros((0, 5, 2), np.float32)).shape == (0, 2, 3)
    assert invert_transforms(none).shape == (0, 2, 3)
    assert transform_points(none, np.zeros((0, 68, 2), np.float32)).shape == (0, 68, 2)
    assert box_from_landmarks(np.zeros((0, 68, 2), np.float32)).shape == (0, 4)


def test_keypoints_of_template_face_are_the_template() -> None:
    np.testing.assert_allclose(
        keypoints_from_landmarks(face_shape()), CANONICAL_KEYPOINTS_XY, atol=1e-4
    )
    assert keypoints_from_landmarks(np.zeros((3, 68, 2), np.float32)).shape == (3, 5, 2)


def test_box_contains_landmarks_and_forehead() -> None:
    shape = face_shape()
    (x1, y1, x2, y2) = box_from_landmarks(shape[None])[0]
    assert (x1, x2, y2) == pytest.approx((shape[:, 0].min(), shape[:, 0].max(), shape[:, 1].max()))
    assert y1 == pytest.approx(shape[:, 1].min() - 0.3 * np.ptp(shape[:, 1]))

"""Crops of the rows of a frame table."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from faceaffect.geometry import (
    CANONICAL_KEYPOINTS_XY,
    estimate_crop_to_frame,
    invert_transforms,
    keypoints_from_landmarks,
    transform_points,
)
from tests.training.datasets.synthetic_table import make_synthetic_table
from training.datasets.broken_data import BrokenFileError
from training.datasets.read_crop import BOX_MARGIN, read_crop
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train


REQUIRES = ("pyarrow",)

RANDOM = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """One frame, whose image is still to be written."""
    table = make_synthetic_table({"v": [1]}, root=tmp_path)
    table.path_of(0).parent.mkdir()
    return table


def test_read_crop_of_stored_crop_keeps_pixels(table):
    pixels = RANDOM.integers(0, 256, (112, 112, 3)).astype(np.uint8)
    cv2.imwrite(str(table.path_of(0)), pixels)
    image = read_crop(table, 0, 112)
    np.testing.assert_allclose(image.transpose(1, 2, 0)[:, :, ::-1] * 255, pixels, atol=1e-3)


def test_read_crop_returns_red_first_at_size(table):
    cv2.imwrite(str(table.path_of(0)), np.full((112, 112, 3), (10, 50, 200), np.uint8))
    image = read_crop(table, 0, 32)
    assert image.shape == (3, 32, 32)
    assert image[:, 16, 16].tolist() == pytest.approx([200 / 255, 50 / 255, 10 / 255])


def test_read_crop_aligns_face_by_landmarks(table):
    points = (MEAN_SHAPE_PX * 1.7 + np.array([60, 30])).astype(np.float32)
    table = replace(table, landmarks_xy=points[None])
    nose = points[30]
    y, x = np.mgrid[:300, :320]
    blob = 255 * np.exp(-((x - nose[0]) ** 2 + (y - nose[1]) ** 2) / 40)
    cv2.imwrite(str(table.path_of(0)), np.repeat(blob[:, :, None], 3, 2).astype(np.uint8))
    to_crop = invert_transforms(estimate_crop_to_frame(keypoints_from_landmarks(points[None])))
    landmarks = transform_points(to_crop, points[None])
    # The least-squares fit leaves what the mean face itself differs from the template.
    straight = np.abs(
        keypoints_from_landmarks(MEAN_SHAPE_PX[None])[0] - CANONICAL_KEYPOINTS_XY
    ).max()
    fitted = keypoints_from_landmarks(landmarks)[0]
    assert np.abs(fitted - CANONICAL_KEYPOINTS_XY).max() < straight + 1
    for size_px in (112, 224):
        image = read_crop(table, 0, size_px)[0]
        row, column = np.mgrid[:size_px, :size_px]
        center = [(image * column).sum() / image.sum(), (image * row).sum() / image.sum()]
        expected = (landmarks[0, 30] + 0.5) * (size_px / 112) - 0.5
        assert expected == pytest.approx(center, abs=0.3)


def test_read_crop_cuts_around_box(table):
    table = replace(table, box=np.array([[40, 60, 80, 90]], np.float32))
    image = np.zeros((200, 200, 3), np.uint8)
    image[55:95, 40:80] = 255  # the square without a margin
    cv2.imwrite(str(table.path_of(0)), image)
    crop = read_crop(table, 0, round(40 * (1 + BOX_MARGIN)))[0]
    assert crop[5:45, 5:45].min() == 1
    assert crop[:5].max() == crop[45:].max() == crop[:, :5].max() == crop[:, 45:].max() == 0


def test_read_crop_of_broken_image_names_it(table):
    table.path_of(0).write_bytes(b"\xff\xd8 broken")
    with pytest.raises(BrokenFileError, match=r"00001\.png: cannot be decoded as an image"):
        read_crop(table, 0, 112)

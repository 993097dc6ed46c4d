"""Face-part masks."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.multistage.face_part_mask import face_part_mask
from training.models.mean_shape import FLIP_ORDER, MEAN_SHAPE_PX

OPEN = MEAN_SHAPE_PX.copy()
OPEN[65:68, 1] += 6  # inner lower lip


def test_mask_parts_are_at_their_landmarks() -> None:
    image = face_part_mask(OPEN, 112)

    def at(*points: int) -> int:
        x, y = OPEN[list(points)].mean(axis=0).round().astype(int)
        return int(image[y, x])

    assert image[:10].max() == 0
    assert at(*range(36, 42)) == 159
    assert at(*range(42, 48)) == 127
    assert at(30, 33) == 63
    assert at(51, 62) == 255  # upper lip
    assert at(62, 66) == 95  # between the lips
    assert at(2, 31) == 31  # cheek
    assert set(np.unique(image)) == {0, 31, 63, 95, 127, 159, 191, 223, 255}


def test_mask_of_mirrored_face_is_mirrored() -> None:
    mirrored = MEAN_SHAPE_PX[list(FLIP_ORDER)] * (-1, 1) + (111, 0)
    original = face_part_mask(MEAN_SHAPE_PX, 112) > 0
    mirrored_back = face_part_mask(mirrored.astype(np.float32), 112)[:, ::-1] > 0
    assert (original != mirrored_back).mean() < 0.01


def test_mask_with_closed_mouth_hides_gap_between_lips() -> None:
    shut = MEAN_SHAPE_PX.copy()
    shut[64:68] = shut[[64, 63, 62, 61]]
    assert (face_part_mask(shut, 112) == 95).sum() < (face_part_mask(OPEN, 112) == 95).sum() / 3


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((68, 2), np.nan)])
def test_mask_with_invalid_points_raises(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="68 finite points"):
        face_part_mask(points, 112)


def test_mask_with_points_far_outside_is_empty() -> None:
    assert face_part_mask(MEAN_SHAPE_PX + 1e9, 112).max() == 0

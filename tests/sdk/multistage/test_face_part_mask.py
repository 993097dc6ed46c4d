"""The image of facial parts."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.multistage.face_part_mask import face_part_mask
from training.models.mean_shape import FLIP_ORDER, MEAN_SHAPE_PX

OPEN = MEAN_SHAPE_PX.copy()
OPEN[65:68, 1] += 6  # inner lower lip


def test_parts_lie_where_the_landmarks_are() -> None:
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


def test_a_mirrored_face_gives_the_mirrored_outline() -> None:
    mirrored = MEAN_SHAPE_PX[list(FLIP_ORDER)] * (-1, 1) + (111, 0)
    ours, theirs = (
        face_part_mask(MEAN_SHAPE_PX, 112) > 0,
        face_part_mask(mirrored.astype(np.float32), 112)[:, ::-1] > 0,
    )
    assert (ours != theirs).mean() < 0.01


def test_a_closed_mouth_hides_what_is_between_the_lips() -> None:
    shut = MEAN_SHAPE_PX.copy()
    shut[64:68] = shut[[64, 63, 62, 61]]
    assert (face_part_mask(shut, 112) == 95).sum() < (face_part_mask(OPEN, 112) == 95).sum() / 3


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((68, 2), np.nan)])
def test_bad_points_are_told(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="68 finite points"):
        face_part_mask(points, 112)


def test_points_far_outside_do_no_harm() -> None:
    assert face_part_mask(MEAN_SHAPE_PX + 1e9, 112).max() == 0

"""Images that are face crops already: re-aligned by the landmarks, and read even when doubtful."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, transform_points, transform_scale
from faceaffect.tracking.aligned_crop import read_loose_crop
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.types import FloatArray, Frame
from tests.sdk.tiny_bundle import face_shape


class FixedFace:
    """A reader that always sees one face at the same landmarks of the frame; notes the maps it was
    given.
    """

    def __init__(self, landmarks_xy: FloatArray, scores: list[float]) -> None:
        self.landmarks_xy, self.scores, self.maps = landmarks_xy[None], scores, []

    def __call__(self, frame: Frame, maps: FloatArray) -> FaceOutputs:
        self.maps.append(maps)
        score = np.float32([self.scores[min(len(self.maps), len(self.scores)) - 1]])
        return FaceOutputs(maps, self.landmarks_xy, score, np.zeros((1, 4), np.float32), {})


def frame_of(width: int, height: int) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize(("width", "height"), [(112, 112), (224, 224), (300, 150), (150, 300)])
def test_first_guess_is_the_usual_crop_of_the_field(width: int, height: int) -> None:
    read = FixedFace(face_shape(), [0.9])
    read_loose_crop(frame_of(width, height), read)
    eyes = transform_points(read.maps[0], CANONICAL_KEYPOINTS_XY[None])[0, :2]
    side = min(width, height)
    assert eyes[:, 0].mean() == pytest.approx(width / 2 - 0.5, abs=0.01 * side)
    assert eyes[0, 1] == pytest.approx((height - side) / 2 + side * 52 / 112, abs=0.01 * side)
    assert np.diff(eyes[:, 0])[0] == pytest.approx(side * 35 / 112, rel=0.01)


def test_second_look_lies_on_the_landmarks() -> None:
    truth = (face_shape() * 1.2 + np.float32([4, -6])).astype(np.float32)
    reading = read_loose_crop(frame_of(112, 112), FixedFace(truth, [0.6, 0.9]))
    assert reading.score[0] == np.float32(0.9)
    np.testing.assert_allclose(
        transform_points(reading.maps, CANONICAL_KEYPOINTS_XY[None])[0],
        CANONICAL_KEYPOINTS_XY * 1.2 + [4, -6],
        atol=0.01,
    )


def test_a_much_worse_second_look_is_dropped() -> None:
    assert read_loose_crop(frame_of(112, 112), FixedFace(face_shape(), [0.9, 0.3])).score[
        0
    ] == np.float32(0.9)


@pytest.mark.parametrize(
    "landmarks", [np.full((68, 2), np.nan), np.full((68, 2), 7.0), face_shape() * 9]
)
def test_landmarks_without_sense_place_no_second_look(landmarks: FloatArray) -> None:
    read = FixedFace(landmarks.astype(np.float32), [0.1])
    reading = read_loose_crop(frame_of(112, 112), read)
    assert len(read.maps) == 1
    assert reading.score[0] == np.float32(0.1)  # doubtful, but there
    assert transform_scale(reading.maps)[0] == pytest.approx(1, abs=0.05)

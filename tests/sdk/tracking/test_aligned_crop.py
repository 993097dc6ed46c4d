"""Aligned face crops: realigned by the landmarks, and kept even with a low score."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, transform_points, transform_scale
from faceaffect.tracking.aligned_crop import run_on_aligned_crop
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.types import FloatArray, Frame
from tests.sdk.tiny_bundle import face_shape


class FakeNetwork:
    """Always predicts the same landmarks, and records the crops."""

    def __init__(self, landmarks_xy: FloatArray, scores: list[float]) -> None:
        self.landmarks_xy = landmarks_xy[None]
        self.scores = scores
        self.crops: list[FloatArray] = []

    def __call__(self, frame: Frame, crop_to_frame: FloatArray) -> FaceOutputs:
        self.crops.append(crop_to_frame)
        score = np.float32([self.scores[min(len(self.crops), len(self.scores)) - 1]])
        return FaceOutputs(
            crop_to_frame, self.landmarks_xy, score, np.zeros((1, 4), np.float32), {}
        )


def frame_of(width: int, height: int) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8))


@pytest.mark.parametrize(("width", "height"), [(112, 112), (224, 224), (300, 150), (150, 300)])
def test_aligned_crop_first_run_uses_affwild2_alignment(width: int, height: int) -> None:
    network = FakeNetwork(face_shape(), [0.9])
    run_on_aligned_crop(frame_of(width, height), network)
    eyes = transform_points(network.crops[0], CANONICAL_KEYPOINTS_XY[None])[0, :2]
    side = min(width, height)
    assert eyes[:, 0].mean() == pytest.approx(width / 2 - 0.5, abs=0.01 * side)
    assert eyes[0, 1] == pytest.approx((height - side) / 2 + side * 52 / 112, abs=0.01 * side)
    assert np.diff(eyes[:, 0])[0] == pytest.approx(side * 35 / 112, rel=0.01)


def test_aligned_crop_second_run_is_aligned_by_landmarks() -> None:
    truth = (face_shape() * 1.2 + np.float32([4, -6])).astype(np.float32)
    outputs = run_on_aligned_crop(frame_of(112, 112), FakeNetwork(truth, [0.6, 0.9]))
    assert outputs.face_score[0] == np.float32(0.9)
    np.testing.assert_allclose(
        transform_points(outputs.crop_to_frame, CANONICAL_KEYPOINTS_XY[None])[0],
        CANONICAL_KEYPOINTS_XY * 1.2 + [4, -6],
        atol=0.01,
    )


def test_aligned_crop_with_low_second_score_keeps_first_run() -> None:
    network = FakeNetwork(face_shape(), [0.9, 0.3])
    outputs = run_on_aligned_crop(frame_of(112, 112), network)
    assert outputs.face_score[0] == np.float32(0.9)


@pytest.mark.parametrize(
    "landmarks", [np.full((68, 2), np.nan), np.full((68, 2), 7.0), face_shape() * 9]
)
def test_aligned_crop_with_implausible_landmarks_runs_once(landmarks: FloatArray) -> None:
    network = FakeNetwork(landmarks.astype(np.float32), [0.1])
    outputs = run_on_aligned_crop(frame_of(112, 112), network)
    assert len(network.crops) == 1
    assert outputs.face_score[0] == np.float32(0.1)
    assert transform_scale(outputs.crop_to_frame)[0] == pytest.approx(1, abs=0.05)

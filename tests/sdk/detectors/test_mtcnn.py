"""MTCNN: coordinates come back in the frame's pixels whatever the frame's size and layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.detectors.mtcnn import MtcnnDetector
from faceaffect.types import Frame, Layout


class FakeNetwork:
    """Finds one face over the middle half of any picture; the second find is a doubtful one."""

    min_face_size = 0

    def detect_faces(self, picture: np.ndarray) -> list[dict[str, Any]]:
        self.shape = picture.shape
        height, width = picture.shape[:2]
        names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        keypoints = {name: ((i + 1) * width / 8, (i + 2) * height / 8) for i, name in enumerate(names)}
        box = [width / 4, height / 4, width / 2, height / 2]
        return [{"box": box, "keypoints": keypoints, "confidence": score} for score in (0.5, 0.95, 0.99)]


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1920, 1080), (7680, 4320)])
def test_finds_are_scaled_back_to_the_frame(width: int, height: int) -> None:
    detector = MtcnnDetector(min_face_px=40)
    detector._network = network = FakeNetwork()
    found = detector.detect(Frame(np.zeros((height, width, 3), np.uint8)))
    assert len(found) == 2, "0.5 is below the least score"
    assert list(found.score) == pytest.approx([0.99, 0.95])
    half_px = width / network.shape[1]
    np.testing.assert_allclose(found.box_xyxy[0], np.array([width, height, 3 * width, 3 * height]) / 4, atol=half_px)
    np.testing.assert_allclose(found.anchors_xy[0, 2], [3 * width / 8, 4 * height / 8], atol=half_px)
    assert max(network.shape) <= 960
    assert network.min_face_size >= 20


def test_nothing_in_flat_and_tiny_pictures() -> None:
    detector = MtcnnDetector()
    for shape in ((1, 1, 3), (1, 500, 3), (13, 9, 3), (240, 320, 3)):
        assert len(detector.detect(Frame(np.full(shape, 120, np.uint8)))) == 0


@pytest.mark.shared
def test_same_faces_in_every_layout(shared: Path) -> None:
    picture = cv2.imread(str(shared / "data" / "videos" / "pyfeat_multi_face.jpg"))
    picture = np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
    detector = MtcnnDetector()
    wanted = detector.detect(Frame(picture))
    assert len(wanted) == 5
    assert (wanted.anchors_xy[:, 0, 0] < wanted.anchors_xy[:, 1, 0]).all(), "the picture's left eye comes first"
    got = detector.detect(Frame(picture[..., ::-1], Layout.RGB))
    np.testing.assert_allclose(got.anchors_xy, wanted.anchors_xy, atol=0.5)
    assert len(detector.detect(Frame(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), Layout.GRAY))) >= 4

"""MTCNN returns frame coordinates for any size and pixel format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceaffect.detectors.mtcnn import MTCNNDetector
from faceaffect.types import Frame, PixelFormat


class FakeNetwork:
    """Finds one face over the middle half of any image, three times with different scores."""

    min_face_size = 0

    def detect_faces(self, image: np.ndarray) -> list[dict[str, Any]]:
        self.shape = image.shape
        height, width = image.shape[:2]
        names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
        keypoints = {
            name: ((i + 1) * width / 8, (i + 2) * height / 8) for i, name in enumerate(names)
        }
        box = [width / 4, height / 4, width / 2, height / 2]
        return [
            {"box": box, "keypoints": keypoints, "confidence": score} for score in (0.5, 0.95, 0.99)
        ]


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1920, 1080), (7680, 4320)])
def test_mtcnn_detections_are_in_frame_pixels(width: int, height: int) -> None:
    detector = MTCNNDetector(min_face_size_px=40)
    detector._network = network = FakeNetwork()
    detections = detector.detect(Frame(np.zeros((height, width, 3), np.uint8)))
    assert len(detections) == 2, "0.5 is below the least score"
    assert list(detections.score) == pytest.approx([0.99, 0.95])
    half_px = width / network.shape[1]
    np.testing.assert_allclose(
        detections.box_xyxy[0], np.array([width, height, 3 * width, 3 * height]) / 4, atol=half_px
    )
    np.testing.assert_allclose(
        detections.keypoints_xy[0, 2], [3 * width / 8, 4 * height / 8], atol=half_px
    )
    assert max(network.shape) <= 960
    assert network.min_face_size >= 20


def test_mtcnn_with_flat_and_tiny_images_finds_nothing() -> None:
    detector = MTCNNDetector()
    for shape in ((1, 1, 3), (1, 500, 3), (13, 9, 3), (240, 320, 3)):
        assert len(detector.detect(Frame(np.full(shape, 120, np.uint8)))) == 0


@pytest.mark.shared
def test_mtcnn_with_other_pixel_format_finds_same_faces(shared: Path) -> None:
    image = cv2.imread(str(shared / "data" / "videos" / "pyfeat_multi_face.jpg"))
    image = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
    detector = MTCNNDetector()
    expected = detector.detect(Frame(image))
    assert len(expected) == 5
    assert (expected.keypoints_xy[:, 0, 0] < expected.keypoints_xy[:, 1, 0]).all(), (
        "the image's left eye comes first"
    )
    got = detector.detect(Frame(image[..., ::-1], PixelFormat.RGB))
    np.testing.assert_allclose(got.keypoints_xy, expected.keypoints_xy, atol=0.5)
    assert (
        len(detector.detect(Frame(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), PixelFormat.GRAY))) >= 4
    )

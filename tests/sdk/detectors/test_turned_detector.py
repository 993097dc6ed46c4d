"""Detections in turned frames come back in coordinates of the frame as it is."""

from __future__ import annotations

import numpy as np
import pytest

from faceaffect.detectors import Detections, Detector
from faceaffect.detectors.turned_detector import TurnedDetector, turned_detectors
from faceaffect.types import Frame


class BrightestPixel(Detector):
    """Detects the brightest pixel, with a box two pixels wide and four high around it."""

    name = "brightest"

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        self.shape = frame.pixels.shape
        y, x = np.unravel_index(frame.pixels[..., 0].argmax(), frame.pixels.shape[:2])
        point = np.array([x, y], np.float32)
        box = np.concatenate([point - (1, 2), point + (1, 2)]).astype(np.float32)
        return Detections(box[None], np.tile(point, (1, 5, 1)), np.ones(1, np.float32))


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
@pytest.mark.parametrize("at_xy", [(0, 0), (63, 0), (17, 29)])
def test_turned_detector_returns_coordinates_of_frame(
    quarter_turns: int, at_xy: tuple[int, int]
) -> None:
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[at_xy[1], at_xy[0]] = 255
    inner = BrightestPixel()
    found = TurnedDetector(inner, quarter_turns).detect(Frame(pixels))
    assert inner.shape[:2] == ((40, 64) if quarter_turns == 2 else (64, 40))
    np.testing.assert_allclose(found.keypoints_xy[0], np.tile(at_xy, (5, 1)), atol=1e-4)
    half = (1, 2) if quarter_turns == 2 else (2, 1)
    np.testing.assert_allclose(found.box_xyxy[0, :2], np.subtract(at_xy, half), atol=1e-4)
    np.testing.assert_allclose(found.box_xyxy[0, 2:], np.add(at_xy, half), atol=1e-4)


def test_turned_detector_on_quarter_turn_turns_frame_clockwise() -> None:
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[39, 0] = 255  # lower left: upper left after a clockwise quarter

    class UpperLeft(BrightestPixel):
        def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
            assert frame.pixels[0, 0, 0] == 255
            return super().detect(frame)

    TurnedDetector(UpperLeft(), 1).detect(Frame(pixels))


def test_turned_detector_of_large_frame_returns_its_pixels() -> None:
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    pixels[600:604, 300:304] = 255
    for detector in turned_detectors(BrightestPixel()):
        found = detector.detect(Frame(pixels))
        np.testing.assert_allclose(found.keypoints_xy[0, 0], (301.5, 601.5), atol=2.1)

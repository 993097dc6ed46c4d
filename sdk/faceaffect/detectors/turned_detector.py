"""Detects faces in frames that are turned by quarters of a circle."""

from __future__ import annotations

from typing import Final

import numpy as np

from faceaffect.detectors.buffer_pool import BufferPool
from faceaffect.detectors.detector import Detections, Detector
from faceaffect.detectors.resize_image import resize_to_bgr
from faceaffect.types import BoolArray, FloatArray, Frame

_LONGEST_PX: Final = 960


class TurnedDetector(Detector):
    """Runs a detector on frames turned clockwise by `quarter_turns` times 90 degrees.

    Detections are mapped back: boxes and keypoints are those of the frame as it is.
    """

    def __init__(self, detector: Detector, quarter_turns: int) -> None:
        self.name = detector.name
        self.is_fast = detector.is_fast
        self._detector = detector
        self._quarter_turns = quarter_turns
        self._buffers = BufferPool()

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        """Detect faces in the turned frame; see `Detector.detect`."""
        image, scale = resize_to_bgr(frame, _LONGEST_PX, self._buffers)
        height, width = image.shape[:2]
        turned = np.ascontiguousarray(np.rot90(image, -self._quarter_turns))
        found = self._detector.detect(
            Frame(turned, time_s=frame.time_s, index=frame.index), full_resolution=full_resolution
        )
        keypoints = self._turn_back(found.keypoints_xy, width, height)
        corners = self._turn_back(found.box_xyxy.reshape(-1, 2, 2), width, height)
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Detections(boxes, keypoints, found.score).scaled(scale)

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        """Confirm new faces on their aligned crops; see `Detector.verify`."""
        return self._detector.verify(frame, crop_to_frame)

    def clone(self) -> Detector | None:
        """Copy for another thread; see `Detector.clone`."""
        clone = self._detector.clone()
        return None if clone is None else TurnedDetector(clone, self._quarter_turns)

    def _turn_back(self, points: FloatArray, width: int, height: int) -> FloatArray:
        """Points [..., 2] of the turned image in the image of `width` and `height`."""
        x, y = points[..., 0], points[..., 1]
        pairs = {
            0: (x, y),
            1: (y, height - 1 - x),
            2: (width - 1 - x, height - 1 - y),
            3: (width - 1 - y, x),
        }
        return np.stack(pairs[self._quarter_turns % 4], axis=-1).astype(np.float32)


def turned_detectors(detector: Detector) -> list[Detector]:
    """Detectors for the three other directions; they share the network of `detector`."""
    return [TurnedDetector(detector, quarter_turns) for quarter_turns in (1, 3, 2)]

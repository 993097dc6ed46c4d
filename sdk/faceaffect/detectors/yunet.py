"""YuNet from a file of the user: detects smaller faces, faster than MTCNN."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceaffect.bundle.check_onnx import check_onnx
from faceaffect.detectors.detector import Detections, Detector
from faceaffect.detectors.read_network import read_network
from faceaffect.detectors.resize_image import resize_to_bgr
from faceaffect.types import Frame


class YunetDetector(Detector):
    """OpenCV's `FaceDetectorYN` (Wu, Peng and Yu 2023)."""

    name = "yunet"

    def __init__(self, model: str | Path, longest_px: int = 640, min_score: float = 0.7) -> None:
        """Load `face_detection_yunet_2023mar.onnx` or a similar file.

        Raises:
            FileNotFoundError: `model` does not exist.
            ValueError: `model` is no such network, or `check_onnx` refuses it.
        """
        if not Path(model).exists():
            raise FileNotFoundError(
                f"expected YuNet's ONNX file (face_detection_yunet_2023mar.onnx) at {model}, "
                "which does not exist"
            )
        content = read_network(Path(model))
        check_onnx(content, model)
        buffer, no_config = np.frombuffer(content, np.uint8), np.empty(0, np.uint8)
        try:
            self._network = cv2.FaceDetectorYN.create(
                "onnx", buffer, no_config, (320, 320), min_score, 0.3, 100
            )
        except cv2.error as error:
            raise ValueError(f"expected YuNet's ONNX file, got {model}: {error}") from None
        self._longest_px = longest_px

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        """Detect faces; `full_resolution` makes no difference."""
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

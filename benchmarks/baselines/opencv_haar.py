"""Haar cascade in every frame, and mini-Xception (FER2013) on gray 64 px crops in ONNX Runtime."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import onnxruntime
from timed_clip import Box, Job, time_clip

_CROP_PX = 64
_SMALLEST_PX = 48


class CascadeAndExpression:
    def __init__(self, job: Job) -> None:
        opencv: Any = cv2  # OpenCV 5 has no cascades; this baseline runs with OpenCV 4
        self._cascade = opencv.CascadeClassifier(
            opencv.data.haarcascades + "haarcascade_frontalface_default.xml"
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = job["files"]["fer_mini_xception.onnx"]
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def analyze(self, bgr: np.ndarray, time_s: float) -> tuple[list[Box], np.ndarray | None]:
        gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        found = self._cascade.detectMultiScale(gray, 1.1, 5, minSize=(_SMALLEST_PX, _SMALLEST_PX))
        if not len(found):
            return [], None
        crops = [
            cv2.resize(gray[y : y + h, x : x + w], (_CROP_PX, _CROP_PX)) for x, y, w, h in found
        ]
        values = (
            np.stack(crops)[:, None].astype(np.float32) / 255 - 0.5
        ) * 2  # [N, 1, 64, 64] in -1..1
        probability = self._session.run(None, {self._input: values})[0]
        return [(x, y, x + w, y + h) for x, y, w, h in found], probability

    def boxes(self, result: tuple[list[Box], np.ndarray | None]) -> list[Box]:
        return result[0]


if __name__ == "__main__":
    time_clip(CascadeAndExpression, ("opencv-python-headless", "onnxruntime", "numpy"))

"""YuNet through OpenCV, as its documentation shows it: the whole frame, every frame."""

from __future__ import annotations

import cv2
import numpy as np
from timed_clip import Box

_SCORE, _OVERLAP, _MOST = 0.6, 0.3, 50


class YunetDetector:
    def __init__(self, path: str) -> None:
        self._detector = cv2.FaceDetectorYN.create(path, "", (320, 320), _SCORE, _OVERLAP, _MOST)
        self._size_px = (320, 320)

    def detect(self, bgr: np.ndarray) -> np.ndarray:
        """Rows [N, 15]: left, top, width, height, five points (x, y), score."""
        size_px = bgr.shape[1], bgr.shape[0]
        if size_px != self._size_px:
            self._detector.setInputSize(size_px)
            self._size_px = size_px
        found = self._detector.detect(bgr)[1]
        return np.zeros((0, 15), np.float32) if found is None else found


def boxes_of_rows(rows: np.ndarray) -> list[Box]:
    return [(x, y, x + w, y + h) for x, y, w, h in rows[:, :4].tolist()]

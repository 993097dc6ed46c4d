"""dlib as in most examples: HOG detector on the gray frame and 68 landmarks, in every frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import dlib
import face_recognition_models
import numpy as np
from timed_clip import Box, Job, time_clip


class DetectorAndLandmarks:
    def __init__(self, job: Job) -> None:
        folder = Path(face_recognition_models.__file__).parent / "models"
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(
            str(folder / "shape_predictor_68_face_landmarks.dat")
        )

    def analyze(self, bgr: np.ndarray, time_s: float) -> list[tuple[Any, np.ndarray]]:
        gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        found = []
        for box in self._detector(gray, 0):  # 0: no enlarging, faces from 80 px
            shape = self._predictor(gray, box)
            found.append((box, np.array([(point.x, point.y) for point in shape.parts()])))
        return found

    def boxes(self, result: list[tuple[Any, np.ndarray]]) -> list[Box]:
        return [(box.left(), box.top(), box.right(), box.bottom()) for box, _ in result]


if __name__ == "__main__":
    time_clip(DetectorAndLandmarks, ("dlib-bin", "face_recognition_models", "numpy"))

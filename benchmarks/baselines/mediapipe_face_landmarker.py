"""MediaPipe FaceLandmarker in video mode with blendshapes: detection once, then tracking."""

from __future__ import annotations

from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
from timed_clip import Box, Job, box_of_points, time_clip


class FaceLandmarker:
    def __init__(self, job: Job) -> None:
        options = vision.FaceLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=job["files"]["face_landmarker.task"]),
            running_mode=vision.RunningMode.VIDEO,
            output_face_blendshapes=True,
        )
        self._landmarker = vision.FaceLandmarker.create_from_options(options)
        self._size_px = (1, 1)

    def analyze(self, bgr: np.ndarray, time_s: float) -> Any:
        self._size_px = bgr.shape[1], bgr.shape[0]
        image = mediapipe.Image(
            image_format=mediapipe.ImageFormat.SRGB, data=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        )
        return self._landmarker.detect_for_video(image, round(1000 * time_s))

    def boxes(self, result: Any) -> list[Box]:
        return [
            box_of_points(np.array([(p.x, p.y) for p in face]) * self._size_px)
            for face in result.face_landmarks
        ]


if __name__ == "__main__":
    time_clip(FaceLandmarker, ("mediapipe", "numpy"))

"""faceaffect with its defaults: the shipped model, one thread, tracked faces."""

from __future__ import annotations

import numpy as np
from timed_clip import Box, Job, time_clip

from faceaffect import open_pipeline
from faceaffect.types import Affect, Faces, Frame, PixelFormat


class FaceAffect:
    def __init__(self, job: Job) -> None:
        self._pipeline = open_pipeline(job["model"], backend=job["backend"], threads=1)
        self._index = 0

    def analyze(self, bgr: np.ndarray, time_s: float) -> tuple[Faces, Affect]:
        frame = Frame(bgr, PixelFormat.BGR, time_s, self._index, "")
        self._index += 1
        return self._pipeline.analyze(frame)

    def boxes(self, result: tuple[Faces, Affect]) -> list[Box]:
        return [tuple(box) for box in result[0].box_xyxy.tolist()]


if __name__ == "__main__":
    time_clip(FaceAffect, ("faceaffect", "onnxruntime", "numpy"))

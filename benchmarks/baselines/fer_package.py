"""The package `fer` with its defaults: Haar cascade in every frame, mini-Xception in quantized
TensorFlow Lite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fer.fer import FER
from timed_clip import Box, Job, time_clip


class Fer:
    def __init__(self, job: Job) -> None:
        self._fer = FER()

    def analyze(self, bgr: np.ndarray, time_s: float) -> list[dict[str, Any]]:
        return list(self._fer.detect_emotions(bgr))

    def boxes(self, result: list[dict[str, Any]]) -> list[Box]:
        return [(x, y, x + w, y + h) for x, y, w, h in (face["box"] for face in result)]


if __name__ == "__main__":
    time_clip(Fer, ("fer", "tensorflow-cpu", "numpy"))

"""EmotiEffLib (successor of hsemotion) with ONNX Runtime, and YuNet, as it has no detector."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from timed_clip import Box, Job, time_clip
from yunet_detector import YunetDetector, boxes_of_rows

MODEL = "enet_b0_8_best_vgaf"
_open_session = onnxruntime.InferenceSession


class DetectAndClassify:
    def __init__(self, job: Job) -> None:
        self._detector = YunetDetector(job["files"]["yunet_s_640_640.onnx"])
        with tempfile.TemporaryDirectory() as home:
            # The package searches this folder for its weights and downloads missing ones.
            folder = Path(home) / ".emotiefflib"
            folder.mkdir()
            (folder / f"{MODEL}.onnx").symlink_to(Path(job["files"][f"{MODEL}.onnx"]).resolve())
            os.environ["HOME"] = home
            onnxruntime.InferenceSession = open_with_one_thread
            from emotiefflib.facial_analysis import EmotiEffLibRecognizer

            self._recognizer = EmotiEffLibRecognizer(engine="onnx", model_name=MODEL)

    def analyze(self, bgr: np.ndarray, time_s: float) -> tuple[np.ndarray, Any]:
        rows = self._detector.detect(bgr)
        faces = []
        for x, y, w, h in rows[:, :4].astype(int):
            crop = bgr[max(y, 0) : y + h, max(x, 0) : x + w]
            if crop.size:
                faces.append(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))
        return rows, self._recognizer.predict_emotions(faces, logits=False) if faces else None

    def boxes(self, result: tuple[np.ndarray, Any]) -> list[Box]:
        return list(boxes_of_rows(result[0]))


def open_with_one_thread(model: Any, **options: Any) -> Any:
    """Open a session with one thread: on one core, waiting threads would only cost CPU time."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return _open_session(model, settings, **options)


if __name__ == "__main__":
    time_clip(DetectAndClassify, ("emotiefflib", "onnxruntime", "opencv-python-headless", "numpy"))

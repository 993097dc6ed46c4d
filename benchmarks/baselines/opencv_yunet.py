"""faceaffect's network the usual way: YuNet in every frame, `warpAffine`, NumPy, ONNX Runtime."""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime
from timed_clip import Box, Job, time_clip
from yunet_detector import YunetDetector, boxes_of_rows


class DetectAlignRun:
    def __init__(self, job: Job) -> None:
        self._detector = YunetDetector(job["files"]["yunet_s_640_640.onnx"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            job["network"], options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._size_px = int(job["crop"]["size_px"])
        self._mean, self._std = np.float32(job["crop"]["mean"]), np.float32(job["crop"]["std"])
        self._template_xy = np.float32(job["crop"]["template_xy"])  # [5, 2] in crop pixels

    def analyze(self, bgr: np.ndarray, time_s: float) -> tuple[np.ndarray, list[np.ndarray]]:
        rows = self._detector.detect(bgr)
        if not len(rows):
            return rows, []
        crops = []
        for row in rows:
            matrix, _ = cv2.estimateAffinePartial2D(
                row[4:14].reshape(5, 2), self._template_xy, method=cv2.LMEDS
            )
            if matrix is None:  # five points that no similarity maps: not a face
                continue
            crop = cv2.warpAffine(bgr, matrix, (self._size_px, self._size_px))
            rgb = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
            crops.append(((rgb - self._mean) / self._std).transpose(2, 0, 1))
        heads = (
            self._session.run(
                None, {self._input: np.ascontiguousarray(np.stack(crops), np.float32)}
            )
            if crops
            else []
        )
        return rows, heads

    def boxes(self, result: tuple[np.ndarray, list[np.ndarray]]) -> list[Box]:
        return list(boxes_of_rows(result[0]))


if __name__ == "__main__":
    time_clip(DetectAlignRun, ("opencv-python-headless", "onnxruntime", "numpy"))

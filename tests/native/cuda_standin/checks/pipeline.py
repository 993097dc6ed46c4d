"""Compares the TensorRT pipeline with the CPU's on the demo clip, with random delays of streams.

Both begin with the detections of the GPU, which `detector` compares with those of the CPU.
"""

from __future__ import annotations

import gc
import itertools
from typing import Any

import numpy as np

from faceaffect import open_pipeline, open_source
from faceaffect.detectors.fast_detector import FastFaceDetector
from faceaffect.detectors.gpu_detector import move_to_gpu
from tests.native.cuda_standin import standin

FRAMES = 40
MAX_DIFFERENCE = {"landmarks_px": 0.01, "pose_deg": 0.01}  # of others 1e-4


def compared(faces: Any, affect: Any) -> dict[str, np.ndarray]:
    return {
        "landmarks_px": faces.landmarks_xy,
        "pose_deg": faces.pose_deg,
        "quality": faces.quality,
        "au": affect.au_probability,
        "expression": affect.expression_probability,
        "valence": affect.valence,
        "arousal": affect.arousal,
    }


worst: dict[str, float] = {}
problems = []
rows = frames = not_replayed = 0
gpu = open_pipeline(backend="tensorrt", precision="fp32", max_faces=8)
detector = move_to_gpu(FastFaceDetector(), gpu._backend)
with (
    gpu,
    open_pipeline(backend="onnx", precision="fp32", max_faces=8, detector=detector) as cpu,
    open_source("assets/demo.mp4") as source,
):
    for frame in itertools.islice(source, FRAMES):
        before = standin.count("cudaLaunchKernel")
        faces, affect = gpu.analyze(frame)
        if frames:  # the detector's kernels are first launched in the first frame
            not_replayed += standin.count("cudaLaunchKernel") > before
        expected_faces, expected_affect = cpu.analyze(frame)
        frames, rows = frames + 1, rows + len(faces.track_id)
        if list(faces.track_id) != list(expected_faces.track_id):
            problems.append(f"frame {frames}: tracks {list(faces.track_id)}")
            break
        expected = compared(expected_faces, expected_affect)
        for name, values in compared(faces, affect).items():
            difference = np.abs(np.asarray(values, float) - np.asarray(expected[name], float))
            largest = float(difference.max()) if difference.size else 0.0
            worst[name] = max(worst.get(name, 0.0), np.nan_to_num(largest, nan=np.inf))
    uncaptured = dict(gpu._backend.frame_runner.uncaptured)  # type: ignore[attr-defined]
problems += [
    f"{name} differs by {value:.1e}"
    for name, value in worst.items()
    if value > MAX_DIFFERENCE.get(name, 1e-4)
]
if not_replayed or uncaptured:
    problems.append(f"{not_replayed} frames were not replayed graphs; uncaptured: {uncaptured}")
if rows < FRAMES:
    problems.append(f"{rows} rows")
del gpu, cpu, source, detector
gc.collect()
if standin.live():
    problems.append(f"{standin.live()} allocations left after closing")
differences = ", ".join(f"{name} {value:.0e}" for name, value in worst.items())
standin.finish(
    f"{frames} frames, {rows} rows, largest differences: {differences}; "
    f"{not_replayed} frames not replayed",
    problems,
)

"""Counts frames that are not a replayed graph, runtime calls per frame, and late allocations.

A face of a 720p NV12 camera walks nearer and away; at times there are two.
"""

from __future__ import annotations

import numpy as np

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect.backends.tensorrt_backend import open_engine
from faceaffect.bundle.bundle import open_bundle
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin

FRAMES, MAX_NOT_REPLAYED = 120, 1
CALLS = (
    "cudaSetDevice",
    "cudaMemcpyAsync",
    "cudaGraphLaunch",
    "cudaStreamSynchronize",
    "cudaLaunchKernel",
    "cudaGraphInstantiateWithFlags",
    "cudaEventRecord",
    "standin_enqueue",
)
MAX_CALLS = (1, 1, 1, 1, 0, 0, 0, 0)

backend = open_engine(open_bundle(), max_faces=4)
frame = frame_of(PixelFormat.NV12, 720, 1280)
backend.warm_up()
allocations = standin.counts("cudaMalloc", "cudaHostAlloc")
not_replayed: list[int] = []
calls_per_frame = np.zeros(len(CALLS), int)
for i in range(FRAMES):
    scale, faces = 0.8 + 3.2 * abs(i / 60 % 2 - 1), 2 if i % 37 > 30 else 1
    maps = np.concatenate([similarity(112, scale, 5, (500 + 200 * k, 360)) for k in range(faces)])
    before = standin.counts(*CALLS)
    backend.infer_frame(frame, maps)
    calls = standin.counts(*CALLS) - before
    if calls[CALLS.index("cudaLaunchKernel")]:
        not_replayed.append(i)
    else:
        calls_per_frame = np.maximum(calls_per_frame, calls)
allocated = int((standin.counts("cudaMalloc", "cudaHostAlloc") - allocations).sum())
problems = []
if len(not_replayed) > MAX_NOT_REPLAYED:
    problems.append(f"frames {not_replayed} were not replayed graphs")
if (calls_per_frame > MAX_CALLS).any():
    problems.append("too many calls per frame")
if allocated:
    problems.append(f"{allocated} allocations after opening")
listed = ", ".join(f"{name} {n}" for name, n in zip(CALLS, calls_per_frame, strict=True) if n)
standin.finish(
    f"{len(not_replayed)} of {FRAMES} frames not replayed; calls of a replayed frame: {listed}; "
    f"allocations after opening: {allocated}",
    problems,
)

"""On a GPU that shares the host's memory: kernels and engine read and write pinned memory."""

from __future__ import annotations

import numpy as np

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect.backends import BackendOptions, TensorRTOptions, open_backend
from faceaffect.backends.tensorrt_backend import open_engine
from faceaffect.bundle.bundle import open_bundle
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin
from tests.native.cuda_standin.expected_heads import difference

bundle = open_bundle()
cpu = open_backend("onnx", bundle, device="cpu", options=BackendOptions(1, "fp32"))
backend = open_engine(bundle, max_faces=4, tensorrt=TensorRTOptions(zero_copy=True))
backend.warm_up()
copies = ("cudaMemcpyAsync", "cudaMemcpy2DAsync")
before = standin.counts(*copies)
worst, frames = 0.0, 0
for pixel_format in PixelFormat:
    for count in (1, 2, 4):
        frame = frame_of(pixel_format, 360, 640, seed=count)
        maps = np.concatenate(
            [similarity(112, 1.1, 7 * i, (150 + 100 * i, 180)) for i in range(count)]
        )
        worst, frames = max(worst, difference(backend, frame, maps, bundle, cpu)), frames + 1
copied = int((standin.counts(*copies) - before).sum())
problems = [] if worst <= 1e-4 else ["results differ from the CPU's"]
if copied:
    problems.append(f"{copied} copies")
standin.finish(f"{frames} frames, {copied} copies, largest difference {worst:.1e}", problems)

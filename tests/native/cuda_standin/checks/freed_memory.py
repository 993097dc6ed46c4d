"""Frees the input of a kernel while a delayed stream has not run it yet."""

from __future__ import annotations

import time

import numpy as np

from faceaffect.kernels.native import native
from tests.native.cuda_standin import standin

stream = native.Stream()
out = native.DeviceBuffer(64).view([1, 3, 1, 1], "<f4")
kept = standin.delay(stream, lambda _: time.sleep(0.05))
pixels = native.DeviceBuffer(16).view([1, 1, 1, 3], "|u1")
native.normalize_cuda(pixels, (0, 0, 0), (1, 1, 1), out, stream)
del pixels  # cudaFree waits for the device; where it would not, the kernel reads freed memory
problems = []
try:
    stream.synchronize()
    if not np.isfinite(standin.memory(out.address, (3,), np.float32)).all():
        problems.append("the kernel wrote nothing")
except native.CudaError as error:
    problems.append(str(error))
standin.finish("the input of a queued kernel was freed", problems)

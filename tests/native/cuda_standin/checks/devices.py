"""With two GPUs, the caller's current one stays; opening a missing one raises BackendError."""

from __future__ import annotations

import numpy as np

from benchmarks.kernel_cases import frame_of, similarity
from faceaffect.backends import BackendError
from faceaffect.backends.tensorrt_backend import open_engine
from faceaffect.bundle.bundle import open_bundle
from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin

problems = []


def expect_device_0(after: str) -> None:
    if standin.current_device() != 0:
        problems.append(f"cuda:{standin.current_device()} is current after {after}")
    native.use_device(0)


backend = open_engine(open_bundle(), device="cuda:1", max_faces=1)
expect_device_0("opening on cuda:1")
backend.warm_up()
expect_device_0("allocating on cuda:1")
heads, _ = backend.infer_frame(
    frame_of(PixelFormat.BGR, 240, 320), similarity(112, 1, 0, (160, 90))
)
if not all(np.isfinite(value).all() for value in heads.values()):
    problems.append("results are not finite")
expect_device_0("a frame on cuda:1")
native.device_facts(1)
expect_device_0("asking for the facts of cuda:1")
try:
    open_engine(open_bundle(), device="cuda:7", max_faces=1)
    problems.append("cuda:7 opens")
except BackendError:
    pass
except Exception as error:
    problems.append(f"cuda:7 raises {type(error).__name__}, not BackendError")
standin.finish("4 calls with a second GPU", problems)

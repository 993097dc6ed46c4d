"""Facts about the machine of a GPU record."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from benchmarks.gpu.part import NotRunError, Session, require_gpu
from faceaffect import kernels
from faceaffect.backends.tensorrt_compat import find_tensorrt
from faceaffect.bench.machine import describe_machine

_QUERY = "driver_version,clocks.sm,clocks.mem,power.limit"


def environment(session: Session) -> Iterator[str]:
    """Machine, GPU, driver, CUDA, TensorRT, kernels."""
    library, reason = find_tensorrt()
    facts = {"bundle": session.bundle.spec.name, "kernels": str(kernels.build_info())}
    facts |= {"TensorRT": str(library) if library else f"none: {reason}"}
    facts = describe_machine() | facts
    session.notes["commit"] = facts.get("commit", "unknown")
    yield from (f"- {name}: {value}" for name, value in facts.items())
    try:
        cuda = require_gpu()
    except NotRunError as error:
        yield f"- GPU: none: {error}"
        return
    device = cuda.device_facts(0)
    session.notes["gpu"] = f"{device['name']}, driver for CUDA {cuda.driver_version()}"
    yield from (f"- GPU {name}: {value}" for name, value in device.items())
    yield f"- CUDA of the driver: {cuda.driver_version()}"
    yield f"- CUDA of the kernels: {cuda.runtime_version()}, built for sm_{cuda.cuda_architectures}"
    try:
        command = ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        yield f"- nvidia-smi: {'; '.join(done.stdout.splitlines()).strip('; ')}"
    except (OSError, subprocess.SubprocessError) as error:
        yield f"- nvidia-smi: {error}"

"""What the parts of the GPU record share: how a part says that it did not run, and how times are written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from faceaffect.bundle import Bundle
from faceaffect.kernels.load_native import native

WARM_UPS, REPEATS = 30, 300


class NotRunError(Exception):
    """Why a part could not run here."""


@dataclass(slots=True)
class Session:
    """What one part learns and a later one uses."""

    bundle: Bundle
    repeats: int = REPEATS
    figures: dict[str, float] = field(default_factory=dict)  # for the targets


Part = Callable[[Session], list[str]]


def require_gpu() -> Any:
    """The native module on a machine with a GPU."""
    if native is None or not native.has_cuda:
        raise NotRunError("the native module was built without CUDA")
    try:
        native.require_device()
    except native.CudaError as error:
        raise NotRunError(str(error)) from None
    return native


def require_torch() -> Any:
    """PyTorch with CUDA."""
    try:
        import torch
    except ImportError as error:
        raise NotRunError(f"PyTorch is not installed ({error})") from None
    if not torch.cuda.is_available():
        raise NotRunError("this PyTorch sees no GPU")
    return torch


def run_part(title: str, part: Part, session: Session) -> list[str]:
    """The part's section; whatever goes wrong in it becomes its text."""
    try:
        lines = part(session)
    except NotRunError as reason:
        lines = [f"not run: {reason}"]
    except Exception as error:
        lines = [f"not run: {type(error).__name__}: {' '.join(str(error).split())}"]
    return [f"## {title}", "", *lines, ""]


def sub_part(name: str, run: Callable[[], list[str]]) -> list[str]:
    """Some rows of a part: a rival that is missing must not cost the others."""
    try:
        return run()
    except Exception as error:
        return [f"- {name}: not run: {' '.join(str(error).split()) or type(error).__name__}"]


def wall_times_us(call: Callable[[], Any], repeats: int) -> np.ndarray:
    """Wall time of each call [repeats]; the call itself must wait for the GPU."""
    for _ in range(WARM_UPS):
        call()
    times = np.empty(repeats)
    for i in range(repeats):
        start = time.perf_counter_ns()
        call()
        times[i] = (time.perf_counter_ns() - start) / 1e3
    return times


def percentiles(times: np.ndarray) -> str:
    return " | ".join(f"{np.percentile(times, p):.1f}" for p in (50, 95, 99))


def device_time_us(cuda: Any, queue: Callable[[Any], Any], repeats: int) -> float:
    """Time on the GPU of what `queue(stream)` queues: the median over batches of 20, by events."""
    stream, start, end = cuda.Stream(), cuda.Event(True), cuda.Event(True)
    for _ in range(WARM_UPS):
        queue(stream)
    times = []
    for _ in range(max(3, repeats // 20)):
        start.record(stream)
        for _ in range(20):
            queue(stream)
        end.record(stream)
        end.synchronize()
        times.append(start.elapsed_ms(end) * 1e3 / 20)
    return float(np.median(times))

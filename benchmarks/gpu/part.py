"""Shared by the parts of the GPU record: results, reasons for not running, and timing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from faceaffect.bundle.bundle import Bundle
from faceaffect.kernels.native import native

WARMUP_RUNS, REPEATS = 30, 300
BATCH = 20


class NotRunError(Exception):
    """A part cannot run here; the message is the reason."""


@dataclass(slots=True)
class Session:
    """Bundle, settings and results that parts share."""

    bundle: Bundle
    repeats: int = REPEATS
    metrics: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


Part = Callable[[Session], Iterable[str]]
"""Yields lines of the record; those before a failure are kept."""


def require_gpu() -> Any:
    """The native module; raises NotRunError without a GPU."""
    if native is None or not native.has_cuda:
        raise NotRunError("the native module was built without CUDA")
    try:
        native.require_device()
    except native.CudaError as error:
        raise NotRunError(str(error)) from None
    return native


def require_torch() -> Any:
    """PyTorch; raises NotRunError without CUDA."""
    try:
        import torch
    except ImportError as error:
        raise NotRunError(f"PyTorch is not installed ({error})") from None
    if not torch.cuda.is_available():
        raise NotRunError("this PyTorch sees no GPU")
    return torch


def run_part(part: Part, session: Session, emit: Callable[[str], None]) -> None:
    """Emit the lines of a part; an error becomes the last one."""
    try:
        for line in part(session):
            emit(line)
    except NotRunError as reason:
        emit(f"not run: {reason}")
    except Exception as error:
        emit(f"not run: {type(error).__name__}: {' '.join(str(error).split())}")


def run_section(name: str, run: Callable[[], list[str]]) -> list[str]:
    """Rows of a part; an error becomes a row, so that it does not affect the others."""
    try:
        return run()
    except Exception as error:
        return [f"- {name}: not run: {' '.join(str(error).split()) or type(error).__name__}"]


def wall_times_us(call: Callable[[], Any], repeats: int) -> np.ndarray:
    """Wall time of each call [repeats]; the call itself must wait for the GPU."""
    for _ in range(WARMUP_RUNS):
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
    """Median of `device_times_us`."""
    return float(np.median(device_times_us(cuda, queue, repeats)))


def device_times_us(cuda: Any, queue: Callable[[Any], Any], repeats: int) -> np.ndarray:
    """Time on the GPU of the work that `queue(stream)` queues, by events: means of batches of 20.

    A batch is one CUDA graph: queued one by one from Python, short kernels would wait for their
    launches.
    """
    stream, start, end = cuda.Stream(), cuda.Event(True), cuda.Event(True)
    for _ in range(WARMUP_RUNS):
        queue(stream)
    stream.synchronize()
    batch = capture_batch(cuda, stream, queue)
    times = []
    for _ in range(max(3, repeats // BATCH)):
        start.record(stream)
        batch()
        end.record(stream)
        end.synchronize()
        times.append(start.elapsed_ms(end) * 1e3 / BATCH)
    return np.array(times)


def capture_batch(cuda: Any, stream: Any, queue: Callable[[Any], Any]) -> Callable[[], Any]:
    """A function that queues a batch: as a graph, or one by one if it cannot be captured."""

    def one_by_one() -> None:
        for _ in range(BATCH):
            queue(stream)

    stream.begin_capture()
    try:
        one_by_one()
    except RuntimeError:
        stream.abandon_capture()
        return one_by_one
    graph = stream.end_capture()
    graph.launch(stream)
    stream.synchronize()
    return lambda: graph.launch(stream)

"""Common code of the parts of the GPU record: errors and formatting of times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from faceaffect.bundle.bundle import Bundle
from faceaffect.kernels.native import native

WARM_UPS, REPEATS = 30, 300
BATCH = 20


class NotRunError(Exception):
    """Reason that a part could not run here."""


@dataclass(slots=True)
class Session:
    """Results that a part passes to later ones."""

    bundle: Bundle
    repeats: int = REPEATS
    figures: dict[str, float] = field(default_factory=dict)  # for the targets
    notes: dict[str, str] = field(default_factory=dict)


Part = Callable[[Session], Iterable[str]]
"""Gives its lines as it finds them: those it gave before it broke are kept."""


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


def run_part(part: Part, session: Session, say: Callable[[str], None]) -> None:
    """Say the part's lines; whatever goes wrong in it becomes the last."""
    try:
        for line in part(session):
            say(line)
    except NotRunError as reason:
        say(f"not run: {reason}")
    except Exception as error:
        say(f"not run: {type(error).__name__}: {' '.join(str(error).split())}")


def sub_part(name: str, run: Callable[[], list[str]]) -> list[str]:
    """Rows of a part; a missing baseline does not affect the others."""
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
    """The median of `device_times_us`."""
    return float(np.median(device_times_us(cuda, queue, repeats)))


def device_times_us(cuda: Any, queue: Callable[[Any], Any], repeats: int) -> np.ndarray:
    """Time on the GPU of what `queue(stream)` queues, by events: means of batches of 20.

    A batch is one CUDA graph: queued one by one from Python, short kernels would wait for their
    launches.
    """
    stream, start, end = cuda.Stream(), cuda.Event(True), cuda.Event(True)
    for _ in range(WARM_UPS):
        queue(stream)
    stream.synchronize()
    batch = batch_of(cuda, stream, queue)
    times = []
    for _ in range(max(3, repeats // BATCH)):
        start.record(stream)
        batch()
        end.record(stream)
        end.synchronize()
        times.append(start.elapsed_ms(end) * 1e3 / BATCH)
    return np.array(times)


def batch_of(cuda: Any, stream: Any, queue: Callable[[Any], Any]) -> Callable[[], Any]:
    """Queues 20 of them: as a graph, or one by one where they cannot be captured."""

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

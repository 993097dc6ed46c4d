"""Cases of `stress` with planted failures: engines, captures, memory, a lost GPU, closing."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import tensorrt

from benchmarks.kernel_cases import frame_of
from faceaffect import open_pipeline, open_source
from faceaffect.backends import BackendError
from faceaffect.backends.engine_network import EngineNetwork
from faceaffect.backends.tensorrt_backend import open_engine
from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin
from tests.native.cuda_standin.checks.stress_frames import Case, bundle, compare, maps_of, small

MAX_FRAMES_UNTIL_RETRY = 12
CASES: dict[str, Case] = {}


def case(call: Case) -> Case:
    CASES[call.__name__] = call
    return call


def must_raise(call: Callable[[], Any], what: str) -> list[str]:
    try:
        call()
    except BackendError:
        return []
    return [f"{what}: no error"]


@case
def refused_engine() -> list[str]:
    tensorrt.Faults.refused_engines = 1
    return compare(open_engine(bundle, max_faces=8), *small())


@case
def failed_run() -> list[str]:
    backend = open_engine(bundle, max_faces=2)
    tensorrt.Faults.failed_runs = 1
    problems = must_raise(lambda: backend.infer_frame(*small()), "a failed run")
    tensorrt.Faults.failed_runs = 0
    return problems + compare(backend, *small()) + compare(backend, *small())


def is_captured_again(backend: Any) -> list[str]:
    problems = []
    for _ in range(MAX_FRAMES_UNTIL_RETRY):
        problems += compare(backend, *small())
    before = standin.count("cudaLaunchKernel")
    problems += compare(backend, *small())
    if standin.count("cudaLaunchKernel") > before or backend.frame_runner.uncaptured:
        problems.append(f"no graph {MAX_FRAMES_UNTIL_RETRY} frames after one failed capture")
    return problems


@case
def failed_run_in_capture() -> list[str]:
    """Opening runs each batch size once and captures it: the second run is in a capture."""
    real, calls = EngineNetwork.enqueue, itertools.count(1)

    def enqueue(self: Any, faces: int, stream: int) -> None:
        if standin.is_capturing(stream) and next(calls) == 1:
            raise RuntimeError("could not run the engine")
        real(self, faces, stream)

    EngineNetwork.enqueue = enqueue  # type: ignore[method-assign]
    try:
        return is_captured_again(open_engine(bundle, max_faces=2))
    finally:
        EngineNetwork.enqueue = real  # type: ignore[method-assign]


@case
def memory_freed_in_capture() -> list[str]:
    """Another buffer is freed on this thread between two captured calls."""
    real, kept = EngineNetwork.enqueue, [native.DeviceBuffer(1000)]

    def enqueue(self: Any, faces: int, stream: int) -> None:
        if standin.is_capturing(stream):
            kept.clear()
        real(self, faces, stream)

    EngineNetwork.enqueue = enqueue  # type: ignore[method-assign]
    try:
        problems = is_captured_again(open_engine(bundle, max_faces=2))
    finally:
        EngineNetwork.enqueue = real  # type: ignore[method-assign]
    return problems + (["nothing was captured"] if kept else [])


@case
def full_memory() -> list[str]:
    backend = open_engine(bundle, max_faces=2)
    for _ in range(3):
        backend.infer_frame(*small())
    large = frame_of(PixelFormat.BGR, 2160, 3840), maps_of(2, 3840, 2160, 9.0)
    standin.fail_next("cudaMalloc", 2)
    problems = must_raise(lambda: backend.infer_frame(*large), "full memory at a larger face")
    return problems + compare(backend, *small()) + compare(backend, *large)


@case
def full_memory_at_opening() -> list[str]:
    backend = open_engine(bundle, max_faces=2)
    standin.fail_next("cudaHostAlloc", 2)
    problems = must_raise(backend.warm_up, "full memory at opening")
    return problems + compare(backend, *small())


def lost_gpu(code: int, call: str) -> Case:
    def run() -> list[str]:
        backend = open_engine(bundle, max_faces=2)
        for _ in range(3):
            backend.infer_frame(*small())
        standin.fail_next(call, code, sticky=True)
        problems = must_raise(lambda: backend.infer_frame(*small()), "a frame")
        if not standin.sticky():
            return ["no call failed"]
        problems += must_raise(lambda: backend.infer_frame(*small()), "the next frame")
        return problems + must_raise(lambda: open_engine(bundle, max_faces=2), "opening again")

    return run


for _code in (700, 719, 46, 214):
    CASES[f"lost_{_code}"] = lost_gpu(_code, "cudaGraphLaunch")
CASES["lost_700_while_waiting"] = lost_gpu(700, "cudaStreamSynchronize")


@case
def first_error_is_told() -> list[str]:
    """A launch that fails is reported itself, not the synchronization after it."""
    backend = open_engine(bundle, max_faces=1)
    backend.infer_frame(*small())
    standin.fail_next("cudaGraphLaunch", 719, sticky=True)
    try:
        backend.infer_frame(*small())
    except BackendError as error:
        return [] if "launching a CUDA graph" in str(error) else [f"it says {error}"]
    return ["no error"]


CASES["lost_first_error_is_told"] = CASES.pop("first_error_is_told")


@case
def closed_while_running() -> list[str]:
    """Another thread closes the pipeline: analyze may raise ValueError, and nothing else."""
    frames = list(itertools.islice(open_source("assets/demo.mp4"), 30))
    problems: list[str] = []
    for wait_s in (0.02, 0.08):
        pipeline = open_pipeline(backend="tensorrt", precision="fp32")

        def work(pipeline: Any = pipeline) -> None:
            try:
                for frame in frames:
                    pipeline.analyze(frame)
            except ValueError as error:
                if "was closed" not in str(error):
                    problems.append(repr(error))
            except Exception as error:
                problems.append(repr(error))

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(wait_s)
        pipeline.close()
        thread.join(60)
        if thread.is_alive():
            return [*problems, "the thread hangs"]
    return problems

"""Pipelines for the streams of clients, and the threads that run them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, Final, TypeVar

from faceaffect.backends.registry import has_nvidia_gpu
from faceaffect.errors import FaceAffectError
from faceaffect.live.batched_streams import StreamBatch, StreamPipeline
from faceaffect.live.metrics import Metrics
from faceaffect.live.results import Timing
from faceaffect.live.settings import LiveSettings
from faceaffect.multicamera.multi_pipeline import open_multi_pipeline
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.system.import_opencv import import_opencv
from faceaffect.system.stage_timer import WALL
from faceaffect.types import Affect, Faces, Frame

T = TypeVar("T")
_SHARED_OPTIONS: Final = frozenset(signature(open_multi_pipeline).parameters)
_WAIT: Final = "wait"
_DECODE: Final = "decode"
_TOTAL: Final = "total"


class BusyError(FaceAffectError, RuntimeError):
    """All pipelines are taken; try again later."""


@dataclass(frozen=True, slots=True)
class Analyzed:
    """A frame and what was found in it."""

    frame: Frame
    faces: Faces
    affect: Affect
    timing: Timing


class PipelinePool:
    """Lends a pipeline to each stream; as many threads as cores run them.

    On a GPU the streams share one network, and frames that wait together run in one batch. A
    stream has at most one frame in the queue of the threads, which is first in, first out: a
    client that sends more does not get more than its turn.
    """

    def __init__(
        self, settings: LiveSettings, metrics: Metrics, batches: bool | None = None
    ) -> None:
        """Open the first pipeline, so that a broken model shows at once.

        Args:
            settings: Of the server.
            metrics: Counts and times the frames.
            batches: Whether the streams share one network; None chooses.
        """
        import_opencv().setNumThreads(1)  # other streams use the other cores
        self._settings = settings
        self._metrics = metrics
        first = self.open()
        self._idle: list[StreamPipeline] = [first]
        workers = settings.worker_count
        if _can_batch(settings, first) if batches is None else batches:
            first.close()
            shared = open_multi_pipeline(
                settings.limits.streams, settings.model, **_shared_options(settings)
            )
            self._idle = list(StreamBatch(shared).streams)
            for stream in self._idle:
                stream.stage_timer.enable(WALL)
            workers = max(workers, settings.limits.streams)  # most of them wait for the batch
        self._threads = ThreadPoolExecutor(workers, "faceaffect-live")
        self._lent = 0
        self.waiting = 0
        """Tasks that wait for a thread or run."""

    def open(self) -> Pipeline:
        """Open another pipeline, which times its stages."""
        pipeline = open_pipeline(self._settings.model, **self._settings.pipeline)
        pipeline.stage_timer.enable(WALL)
        device = pipeline.describe()["device"]
        if device == "cpu" and self._settings.pipeline.get("device") != "cpu" and has_nvidia_gpu():
            self._metrics.fallbacks.labels(device).inc()
        return pipeline

    @property
    def first(self) -> StreamPipeline | None:
        """An idle pipeline to describe the model; None while all are lent."""
        return self._idle[0] if self._idle else None

    @property
    def lent(self) -> int:
        """Number of streams."""
        return self._lent

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[StreamPipeline]:
        """Lend a pipeline that has seen no face.

        Raises:
            BusyError: All are taken.
        """
        limit = self._settings.limits.streams
        if self._lent >= limit:
            raise BusyError(f"all {limit} streams are taken; try again later")
        self._lent += 1
        pipeline: StreamPipeline | None = None
        try:
            pipeline = self._idle.pop() if self._idle else await self.run(self.open)
            yield pipeline
        finally:
            self._lent -= 1
            if pipeline is not None:
                # A cancelled task may still run in its thread: it is over before the reset.
                await asyncio.shield(self.run(_forget, pipeline))
                self._idle.append(pipeline)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in a thread, in turn."""
        loop = asyncio.get_running_loop()
        self.waiting += 1
        try:
            return await loop.run_in_executor(self._threads, function, *arguments)
        finally:
            self.waiting -= 1

    def analyze(
        self, kind: str, pipeline: StreamPipeline, decode: Callable[[], Frame], received_ns: int
    ) -> Analyzed:
        """Decode and analyze a frame, in a thread.

        Args:
            kind: Label of the metrics: stream, image or source.
            pipeline: Lent.
            decode: Returns the frame.
            received_ns: When it arrived, by `time.perf_counter_ns`.
        """
        started_ns = time.perf_counter_ns()
        frame = decode()
        decoded_ns = time.perf_counter_ns()
        faces, affect = pipeline.analyze(frame)
        ended_ns = time.perf_counter_ns()
        stages = {
            _WAIT: started_ns - received_ns,
            _DECODE: decoded_ns - started_ns,
            **{key: ns for key, ns in pipeline.stage_timer.elapsed_ns[WALL.name].items() if ns},
            _TOTAL: ended_ns - received_ns,
        }
        self._metrics.time_frame(kind, len(faces), stages)
        timing: Timing = {
            "queue_ms": round((started_ns - received_ns) / 1e6, 3),
            "decode_ms": round((decoded_ns - started_ns) / 1e6, 3),
            "analyze_ms": round((ended_ns - decoded_ns) / 1e6, 3),
        }
        return Analyzed(frame, faces, affect, timing)

    def close(self) -> None:
        """End the threads and close the pipelines."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for pipeline in self._idle:
            pipeline.close()


def _can_batch(settings: LiveSettings, first: Pipeline) -> bool:
    """Return whether one network for all streams is possible and worth it: on a GPU."""
    on_gpu = first.describe()["device"] != "cpu"
    unsupported = {key for key, value in settings.pipeline.items() if value} - _SHARED_OPTIONS
    return on_gpu and not first.spec.stages and not unsupported


def _shared_options(settings: LiveSettings) -> dict[str, Any]:
    return {key: value for key, value in settings.pipeline.items() if key in _SHARED_OPTIONS}


def _forget(pipeline: StreamPipeline) -> None:
    """Make a pipeline that was lent as good as new."""
    while True:
        try:
            pipeline.reset(track_ids=True)
            if pipeline.spec.au_neutral_logits is not None:
                pipeline.restart_neutral_baseline(False)
            return
        except RuntimeError:  # busy
            time.sleep(0.01)

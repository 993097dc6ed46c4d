"""Streams that share one network: frames that wait together are analyzed in one run of it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from faceaffect.types import Affect, Faces, Frame

if TYPE_CHECKING:
    from faceaffect.bundle.model_spec import ModelSpec
    from faceaffect.multicamera.multi_pipeline import MultiPipeline
    from faceaffect.pipeline import Pipeline
    from faceaffect.system.stage_timer import StageTimer


class StreamPipeline(Protocol):
    """What the server uses of a `Pipeline`."""

    spec: ModelSpec
    stage_timer: StageTimer

    def analyze(self, frame: Frame, /) -> tuple[Faces, Affect]:
        """Faces [N] of the next frame of the stream and their affect."""
        ...

    def reset(self, track_ids: bool = False) -> None:
        """Forget all faces."""
        ...

    def restart_neutral_baseline(self, is_on: bool) -> None:
        """Measure AUs from now on against the baseline of each face, or no longer."""
        ...

    def describe(self) -> dict[str, str]:
        """Names of the model, backend, kernels and detector."""
        ...

    def close(self) -> None:
        """Refuse further frames."""
        ...


class StreamBatch:
    """Gives the streams of a `MultiPipeline` to a thread each.

    A thread that brings a frame while another one analyzes waits for it; the first that gets its
    turn analyzes the frames of all that wait. So a batch is as large as the load makes it, and a
    single stream waits for nobody.
    """

    def __init__(self, pipeline: MultiPipeline) -> None:
        """Share `pipeline`, which nobody else uses from now on."""
        self._pipeline = pipeline
        self.lock = threading.Lock()
        """Held while frames are analyzed; hold it to change a stream."""
        self._waiting_changed = threading.Lock()
        self._waiting: dict[int, tuple[Frame, Future[tuple[Faces, Affect]]]] = {}
        self.streams = [_BatchedStream(self, index) for index in range(pipeline.streams)]

    @property
    def waiting(self) -> int:
        """Number of frames that wait for the run in progress."""
        return len(self._waiting)

    def analyze(self, stream: int, frame: Frame) -> tuple[Faces, Affect]:
        """Analyze the next frame of a stream, together with those of others that wait.

        Raises:
            Exception: Any error of the batch.
        """
        result: Future[tuple[Faces, Affect]] = Future()
        with self._waiting_changed:
            self._waiting[stream] = (frame, result)
        with self.lock:
            if not result.done():
                self._run()
        return result.result()

    def pipeline(self, stream: int) -> Pipeline:
        """Pipeline of a stream, with its tracks and baselines."""
        return self._pipeline.stream(stream)

    def _run(self) -> None:
        with self._waiting_changed:
            batch, self._waiting = self._waiting, {}
        frames = [batch[k][0] if k in batch else None for k in range(self._pipeline.streams)]
        try:
            results = self._pipeline.analyze(frames)
        except Exception as error:  # raised again in the thread of each frame
            for _, result in batch.values():
                result.set_exception(error)
            return
        for stream, (_, result) in batch.items():
            found = results[stream]
            assert found is not None
            result.set_result(found)


class _BatchedStream:
    """A stream of a batch; see `StreamPipeline`."""

    def __init__(self, batch: StreamBatch, index: int) -> None:
        self._batch = batch
        self._index = index
        self._pipeline = batch.pipeline(index)
        self.spec = self._pipeline.spec
        self.stage_timer = self._pipeline.stage_timer

    def analyze(self, frame: Frame, /) -> tuple[Faces, Affect]:
        return self._batch.analyze(self._index, frame)

    def reset(self, track_ids: bool = False) -> None:
        with self._batch.lock:
            self._pipeline.reset(track_ids)

    def restart_neutral_baseline(self, is_on: bool) -> None:
        with self._batch.lock:
            self._pipeline.restart_neutral_baseline(is_on)

    def describe(self) -> dict[str, str]:
        return self._pipeline.describe()

    def close(self) -> None:
        with self._batch.lock:
            self._pipeline.close()

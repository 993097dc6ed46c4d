"""Analyzes independent inputs in threads, each with a pipeline of its own."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from faceaffect.pipeline import Pipeline
from faceaffect.system.cpu_count import cpu_count

_T = TypeVar("_T")
_QUEUED_PER_WORKER = 2


class ImageWorkers:
    """Threads with a pipeline each.

    The networks, the kernels and the decoders release the interpreter's lock, so that threads use
    all cores without copies of images between processes.
    """

    def __init__(
        self, open_one: Callable[[], Pipeline], jobs: int | None, inputs: int | None = None
    ) -> None:
        """Open the first pipeline; the others are opened when they are needed.

        Args:
            open_one: Opens a pipeline.
            jobs: Number of threads; None for one per core.
            inputs: Number of inputs, if it is known.

        Raises:
            ValueError: `jobs` is less than 1.
        """
        if jobs is not None and jobs < 1:
            raise ValueError(f"expected jobs >= 1, got {jobs}; use None for one per core")
        self._count = max(1, min(jobs or cpu_count(), inputs or (1 << 16)))
        self._open_one = open_one
        self.first = open_one()
        self._opened = [self.first]
        self._idle: queue.SimpleQueue[Pipeline] = queue.SimpleQueue()
        self._idle.put(self.first)
        self._executor = ThreadPoolExecutor(self._count, thread_name_prefix="faceaffect-image")

    def run(self, tasks: Iterable[Callable[[Pipeline], _T]]) -> Iterator[_T]:
        """Yield what `tasks` return, in their order; a few are ahead of the consumer."""
        pending: deque[Future[_T]] = deque()
        for task in tasks:
            if self._count == 1:
                yield task(self.first)
                continue
            pending.append(self._executor.submit(self._run_one, task))
            if len(pending) >= self._count * _QUEUED_PER_WORKER:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()

    def _run_one(self, task: Callable[[Pipeline], _T]) -> _T:
        try:
            pipeline = self._idle.get_nowait()
        except queue.Empty:  # at most as many as there are threads
            pipeline = self._open_one()
            self._opened.append(pipeline)
        try:
            return task(pipeline)
        finally:
            self._idle.put(pipeline)

    def __enter__(self) -> ImageWorkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
        for pipeline in self._opened:
            pipeline.close()

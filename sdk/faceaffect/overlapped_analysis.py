"""The two halves of the analysis in two threads, so that one file keeps more than one core busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Final

from faceaffect.types import Affect, Faces, Frame

if TYPE_CHECKING:
    from faceaffect.pipeline import Followed, Pipeline

_WAITING_FRAMES: Final = 4  # they are held with their pixels, so few; enough that neither thread waits for a short delay

Taker = Callable[[Frame, Faces, Affect, float], None]
"""Is handed a frame, its faces, what they show, and the seconds that both halves took together."""


class OverlappedAnalysis:
    """Follows faces in the caller's thread and reads them out in one of its own, which also hands them to `take`.

    Following is what no second core can share: a face's next place comes from its last one. What comes after it touches no
    later frame, so that it runs beside the next one. Results are those of `Pipeline.analyse`, frame by frame in order.

    The first error of the second thread is raised by the next `push`, or by leaving the block. Leaving it waits until all
    frames that were pushed are taken, also after Ctrl-C, so that nothing that was analysed is lost.
    """

    def __init__(self, pipeline: Pipeline, take: Taker, waiting_frames: int = _WAITING_FRAMES) -> None:
        self._pipeline, self._take = pipeline, take
        self._room = threading.Semaphore(waiting_frames)
        # Its `put` never blocks and cannot be torn by a signal.
        self._waiting: SimpleQueue[tuple[Frame, Followed, float] | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="faceaffect-read-out", daemon=True)

    def push(self, frame: Frame) -> None:
        """Follow the faces of the next frame; waits while the other thread is too far behind."""
        began_s = time.perf_counter()
        followed = self._pipeline.follow(frame)
        took_s = time.perf_counter() - began_s
        self._room.acquire()
        self._raise_error()
        self._waiting.put((frame, followed, took_s))

    def __enter__(self) -> OverlappedAnalysis:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._waiting.put(None)
        self._thread.join()
        if error is None:
            self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        """After an error the queue is still emptied, so that nobody waits for room in it."""
        while (item := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._read_out(*item)
                except BaseException as error:  # raised again by the caller
                    self._error = error
            self._room.release()

    def _read_out(self, frame: Frame, followed: Followed, followed_s: float) -> None:
        began_s = time.perf_counter()
        faces, affect = self._pipeline.read_out(frame, followed)
        self._take(frame, faces, affect, followed_s + time.perf_counter() - began_s)

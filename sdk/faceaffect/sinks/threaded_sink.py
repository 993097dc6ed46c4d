"""Writing rows in a thread of their own, while the next frame is analysed."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Final

import numpy as np

from faceaffect.patient_thread import be_patient
from faceaffect.sinks.sink import ResumePoint, Sink, SinkError
from faceaffect.types import Affect, Faces, Frame, Layout

_WAITING_FRAMES: Final = 16  # half a second of a camera; beyond that the analysis waits
_NO_PIXELS: Final = np.zeros((1, 1), np.uint8)

_Rows = tuple[Frame, Faces, Affect]


class ThreadedSink:
    """Hands rows to `sink` in their order, from one thread, at most `waiting_frames` frames behind the caller.

    The first error of `sink` is raised by the next `write`, `begin`, `end` or, at the latest, by `close`; nothing that
    came after the failed frame is written, so that a resume goes on exactly there. `begin`, `end` and `close` return
    when all rows before them are written. Waiting frames keep their time, index and source but not their pixels, which
    no sink of rows reads.
    """

    def __init__(self, sink: Sink, waiting_frames: int = _WAITING_FRAMES) -> None:
        self.path = sink.path
        self._sink = sink
        self._room = threading.Semaphore(waiting_frames)
        # Its `put` never blocks and cannot be torn by a signal, so Ctrl-C at any moment leaves a queue that can be closed.
        self._waiting: SimpleQueue[_Rows | threading.Event | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._is_raised = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="faceaffect-rows", daemon=True)
        self._thread.start()

    def begin(self, source: str) -> ResumePoint:
        self._finish_waiting()
        return self._sink.begin(source)

    def write(self, frame: Frame, faces: Faces, affect: Affect) -> None:
        self._require_open()
        self._raise_error()
        self._room.acquire()
        self._raise_error()  # of a frame that was written while this one waited for room
        self._waiting.put((Frame(_NO_PIXELS, Layout.GRAY, frame.time_s, frame.index, frame.source), faces, affect))

    def end(self, source: str) -> None:
        self._finish_waiting()
        self._sink.end(source)

    def close(self, *, is_complete: bool = True) -> None:
        """Write what waits, close the sink, and raise an error that nobody was told of yet."""
        if self._is_closed:
            return
        self._is_closed = True
        self._waiting.put(None)
        self._thread.join()
        try:
            self._sink.close(is_complete=is_complete and self._error is None)
        finally:
            if not self._is_raised:
                self._raise_error()

    def __enter__(self) -> ThreadedSink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(is_complete=error is None)

    def _finish_waiting(self) -> None:
        self._require_open()
        written = threading.Event()
        self._waiting.put(written)
        written.wait()
        self._raise_error()

    def _require_open(self) -> None:
        if self._is_closed:
            raise SinkError(f"{self.path}: rows must be written before the sink is closed, it is closed; open it again")

    def _raise_error(self) -> None:
        if self._error is not None:
            self._is_raised = True
            raise self._error

    def _run(self) -> None:
        """After an error the queue is still emptied, so that nobody waits for room in it."""
        be_patient()
        while (item := self._waiting.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            if self._error is None:
                try:
                    self._sink.write(*item)
                except BaseException as error:  # raised again by the caller
                    self._error = error
            self._room.release()

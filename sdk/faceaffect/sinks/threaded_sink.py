"""Writing rows in a thread of their own, while the next frame is analyzed."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final

import numpy as np

from faceaffect.sinks.sink import ResumePoint, Sink, SinkError
from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Affect, Faces, Frame, PixelFormat

_WAITING_FRAMES: Final = 32  # a second of a camera; beyond that the analysis waits
# rows of some frames at once: a thread that wakes for each holds up the one that analyzes
_GATHER_S: Final = 0.005
_NO_PIXELS: Final = np.zeros((1, 1), np.uint8)

_Rows = tuple[Frame, Faces, Affect]


class ThreadedSink:
    """Hands rows to `sink` in their order, from one thread, at most `waiting_frames` frames behind
    the caller.

    The first error of `sink` is raised by the next `write`, `begin`, `end` or, at the latest, by
    `close`; nothing that came after the failed frame is written, so that a resume goes on
    exactly there. `begin`, `end` and `close` return when all rows before them are written;
    others reach it some milliseconds later. Waiting frames keep their time, index and source but
    not their pixels, which no sink of rows reads.
    """

    def __init__(self, sink: Sink, waiting_frames: int = _WAITING_FRAMES) -> None:
        self.path = sink.path
        self._sink = sink
        self._waiting_frames = waiting_frames
        self._waiting: deque[_Rows | threading.Event | None] = deque()
        self._handed = self._done = 0  # frames; each number is one thread's to change
        self._room, self._wants_room = threading.Event(), False
        # Rung where the other thread sleeps with nothing to do, or should not gather. `put` never
        # blocks and cannot be torn
        # by a signal, so after Ctrl-C at any moment there is a thread that can be told to end.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_idle = False
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
        if self._handed - self._done >= self._waiting_frames:
            self._wait_for_room()
            self._raise_error()  # of a frame that was written while this one waited
        self._waiting.append(
            (
                Frame(_NO_PIXELS, PixelFormat.GRAY, frame.time_s, frame.index, frame.source),
                faces,
                affect,
            )
        )
        self._handed += 1
        if self._is_idle:
            self._bell.put(None)

    def end(self, source: str) -> None:
        self._finish_waiting()
        self._sink.end(source)

    def close(self, *, is_complete: bool = True) -> None:
        """Write what waits, close the sink, and raise an error that nobody was told of yet."""
        if self._is_closed:
            return
        self._is_closed = True
        self._waiting.append(None)
        self._bell.put(None)
        self._thread.join()
        try:
            self._sink.close(is_complete=is_complete and self._error is None)
        finally:
            if not self._is_raised:
                self._raise_error()

    def __enter__(self) -> ThreadedSink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(is_complete=error is None)

    def _finish_waiting(self) -> None:
        self._require_open()
        written = threading.Event()
        self._waiting.append(written)
        self._bell.put(None)
        written.wait()
        self._raise_error()

    def _wait_for_room(self) -> None:
        """Until half of the room is free: to be woken for every frame costs more than to wait."""
        self._wants_room = True
        while not self._is_roomy():
            self._room.clear()
            if not self._is_roomy():  # read after `clear`: what is done later sets it again
                self._room.wait()
        self._wants_room = False

    def _is_roomy(self) -> bool:
        return self._handed - self._done <= self._waiting_frames // 2

    def _require_open(self) -> None:
        if self._is_closed:
            raise SinkError(
                f"{self.path}: rows must be written before the sink is closed, it is closed; open it again"
            )

    def _raise_error(self) -> None:
        if self._error is not None:
            self._is_raised = True
            raise self._error

    def _run(self) -> None:
        lower_thread_priority()
        while True:
            self._is_idle = True
            if not self._waiting:  # read after the flag is up: what comes later rings
                self._bell.get()
            self._is_idle = False
            with suppress(Empty):
                self._bell.get(timeout=_GATHER_S)
            while self._waiting:
                item = self._waiting.popleft()
                if item is None:
                    return
                if isinstance(item, threading.Event):
                    item.set()
                else:
                    self._write(item)

    def _write(self, rows: _Rows) -> None:
        """After an error what waits is still taken, so that nobody waits for room."""
        if self._error is None:
            try:
                self._sink.write(*rows)
            except BaseException as error:  # raised again by the caller
                self._error = error
        self._done += 1
        if self._wants_room and self._is_roomy():
            self._room.set()

"""Row sink that writes in a background thread while the next frame is analyzed."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from faceaffect.sinks.sink import ResumePoint, Sink, SinkError
from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Affect, Faces, Frame, FrameInfo

_MAX_QUEUED_FRAMES: Final = 32  # about a second of a camera; beyond that the caller waits
# The thread writes the rows of several frames at once: waking up for each one would hold up the
# thread that analyzes.
_BATCH_S: Final = 0.005

_Rows = tuple[FrameInfo, Faces, Affect]


class ThreadedSink(Sink):
    """Passes rows to `sink` in order, from one background thread.

    The first error of `sink` is raised by the next `write`, `begin` or `end`, or by `close` at the
    latest; nothing after the failed frame is written, so that a resume continues exactly there.
    `begin`, `end` and `close` return once all rows before them are written; other rows are
    written some milliseconds after `write`. The queue does not keep pixels.
    """

    def __init__(self, sink: Sink, max_queued_frames: int = _MAX_QUEUED_FRAMES) -> None:
        """Start the thread; `write` blocks while `max_queued_frames` frames are in the queue."""
        self.path = sink.path
        self._sink = sink
        self._max_queued_frames = max_queued_frames
        self._queue: deque[_Rows | threading.Event | None] = deque()
        # Counts of frames; the caller alone changes the first, the thread alone the second.
        self._put_frames = 0
        self._written_frames = 0
        self._not_full = threading.Event()
        self._producer_waiting = False
        # Wakes the thread up where it sleeps with nothing to do, or should not gather a batch.
        # `put` never blocks and a signal cannot tear it, so after Ctrl-C at any moment there is a
        # thread that can be asked to end.
        self._wakeup: SimpleQueue[None] = SimpleQueue()
        self._is_idle = False
        self._error: BaseException | None = None
        self._is_raised = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="faceaffect-rows", daemon=True)
        self._thread.start()

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`, after all rows before it."""
        self._flush()
        return self._sink.begin(source)

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Queue the rows of one frame.

        Raises:
            SinkError: the sink is closed, or an earlier frame could not be written.
        """
        self._require_open()
        self._raise_error()
        if self._put_frames - self._written_frames >= self._max_queued_frames:
            self._wait_until_half_empty()
            self._raise_error()  # of a frame that was written while this one waited
        info = FrameInfo(frame.source, frame.index, frame.time_s)
        self._queue.append((info, faces, affect))
        self._put_frames += 1
        if self._is_idle:
            self._wakeup.put(None)

    def end(self, source: str) -> None:
        """Mark `source` as finished, after all its rows."""
        self._flush()
        self._sink.end(source)

    def close(self, *, is_complete: bool = True) -> None:
        """Write what is queued, close the sink, and raise an error that was not raised yet."""
        if self._is_closed:
            return
        self._is_closed = True
        self._queue.append(None)
        self._wakeup.put(None)
        self._thread.join()
        try:
            self._sink.close(is_complete=is_complete and self._error is None)
        finally:
            if not self._is_raised:
                self._raise_error()

    def _flush(self) -> None:
        self._require_open()
        written = threading.Event()
        self._queue.append(written)
        self._wakeup.put(None)
        written.wait()
        self._raise_error()

    def _wait_until_half_empty(self) -> None:
        """Block until half of the queue is free: waking up for every frame costs more."""
        self._producer_waiting = True
        while not self._is_half_empty():
            self._not_full.clear()
            if not self._is_half_empty():  # checked after `clear`: a later write sets it again
                self._not_full.wait()
        self._producer_waiting = False

    def _is_half_empty(self) -> bool:
        return self._put_frames - self._written_frames <= self._max_queued_frames // 2

    def _require_open(self) -> None:
        if self._is_closed:
            raise SinkError(
                f"{self.path}: expected an open sink, got one that is closed; reopen it"
            )

    def _raise_error(self) -> None:
        if self._error is not None:
            self._is_raised = True
            raise self._error

    def _run(self) -> None:
        lower_thread_priority()
        while True:
            self._is_idle = True
            if not self._queue:  # checked after the flag is set: a later `write` wakes this thread
                self._wakeup.get()
            self._is_idle = False
            with suppress(Empty):
                self._wakeup.get(timeout=_BATCH_S)
            while self._queue:
                item = self._queue.popleft()
                if item is None:
                    return
                if isinstance(item, threading.Event):
                    item.set()
                else:
                    self._write(item)

    def _write(self, rows: _Rows) -> None:
        """Write a frame; after an error it is only counted, so that the caller never blocks."""
        if self._error is None:
            try:
                self._sink.write(*rows)
            except BaseException as error:  # raised again in the caller's thread
                self._error = error
        self._written_frames += 1
        if self._producer_waiting and self._is_half_empty():
            self._not_full.set()

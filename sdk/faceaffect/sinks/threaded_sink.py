"""Row sink that writes in a background thread while the next frame is analyzed."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

from faceaffect.sinks.sink import ResumePoint, Sink, SinkError, WrittenFace
from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Affect, Faces, Frame, FrameInfo

_MAX_QUEUED_FRAMES: Final = 32  # about a second of a camera; beyond that the caller waits
# The thread writes the rows of several frames at once: waking up for each one would hold up the
# thread that analyzes.
_BATCH_S: Final = 0.005
_JOIN_TIMEOUT_S: Final = 2.0

_Rows = tuple[FrameInfo, Faces, Affect]


class ThreadedSink(Sink):
    """Passes rows to `sink` in order, from one background thread.

    The first error of `sink` is raised by the next `write`, `begin` or `end`, or by `close` at the
    latest; nothing after the failed frame is written, so that a resume continues exactly there.
    `begin`, `end` and `close` return once all rows before them are written; other rows are
    written some milliseconds after `write`. The queue does not keep pixels.

    One that is dropped without `close` writes what is queued and closes `sink` as incomplete, with
    a ResourceWarning.
    """

    def __init__(self, sink: Sink, max_queued_frames: int = _MAX_QUEUED_FRAMES) -> None:
        """Start the thread; `write` blocks while `max_queued_frames` frames are in the queue."""
        self.path = sink.path
        self._sink = sink
        self._max_queued_frames = max_queued_frames
        self._writer = _Writer(sink, max_queued_frames)
        self._put_frames = 0
        self._is_raised = False
        self._is_closed = False
        self._thread = threading.Thread(
            target=self._writer.run, name="faceaffect-rows", daemon=True
        )
        self._thread.start()
        self._finalizer = weakref.finalize(self, _end_dropped, self._writer, self._thread)

    def begin(self, source: str) -> ResumePoint:
        """Start, or resume, the rows of `source`, after all rows before it."""
        self._flush()
        return self._sink.begin(source)

    def written_faces(self, source: str, first_frame: int) -> list[WrittenFace]:
        """Return the faces of `source` in the rows from `first_frame` on."""
        self._flush()
        return self._sink.written_faces(source, first_frame)

    def write(self, frame: Frame | FrameInfo, faces: Faces, affect: Affect) -> None:
        """Queue the rows of one frame.

        Raises:
            SinkError: the sink is closed, or an earlier frame could not be written.
        """
        self._require_open()
        self._raise_error()
        writer = self._writer
        if self._put_frames - writer.written_frames >= self._max_queued_frames:
            writer.wait_until_half_empty(self._put_frames)
            self._raise_error()  # of a frame that was written while this one waited
        info = FrameInfo(frame.source, frame.index, frame.time_s)
        writer.queue.append((info, faces, affect))
        self._put_frames += 1
        if writer.is_idle:
            writer.wakeup.put(None)

    def end(self, source: str) -> None:
        """Mark `source` as finished, after all its rows."""
        self._flush()
        self._sink.end(source)

    def close(self, *, is_complete: bool = True) -> None:
        """Write what is queued, close the sink, and raise an error that was not raised yet."""
        if self._is_closed:
            return
        self._is_closed = True
        self._finalizer.detach()
        self._writer.stop()
        self._thread.join()
        try:
            self._sink.close(is_complete=is_complete and self._writer.error is None)
        finally:
            if not self._is_raised:
                self._raise_error()

    def _flush(self) -> None:
        self._require_open()
        written = threading.Event()
        self._writer.queue.append(written)
        self._writer.wakeup.put(None)
        written.wait()
        self._raise_error()

    def _require_open(self) -> None:
        if self._is_closed:
            raise SinkError(
                f"{self.path}: expected an open sink, got one that is closed; reopen it"
            )

    def _raise_error(self) -> None:
        if self._writer.error is not None:
            self._is_raised = True
            raise self._writer.error


class _Writer:
    """What the thread runs on; it does not refer to the ThreadedSink, which can thus be dropped.

    Attributes:
        queue: Frames in order, events to set once those before them are written, None at the end.
        written_frames: Changed by the thread alone.
        wakeup: Wakes the thread up where it sleeps with nothing to do, or should not gather a
            batch. `put` never blocks and a signal cannot tear it, so after Ctrl-C at any moment
            there is a thread that can be asked to end.
        error: The first error of the sink.
        is_dropped: Whether nobody else will close the sink.
    """

    def __init__(self, sink: Sink, max_queued_frames: int) -> None:
        self.queue: deque[_Rows | threading.Event | None] = deque()
        self.written_frames = 0
        self.wakeup: SimpleQueue[None] = SimpleQueue()
        self.is_idle = False
        self.error: BaseException | None = None
        self.is_dropped = False
        self._sink = sink
        self._max_queued_frames = max_queued_frames
        self._put_frames = 0  # while the caller waits
        self._not_full = threading.Event()
        self._producer_waiting = False

    def stop(self) -> None:
        """Ask the thread to end after what is queued."""
        self.queue.append(None)
        self.wakeup.put(None)

    def wait_until_half_empty(self, put_frames: int) -> None:
        """Block until half of the queue is free: waking up for every frame costs more."""
        self._put_frames = put_frames
        self._producer_waiting = True
        while not self._is_half_empty():
            self._not_full.clear()
            if not self._is_half_empty():  # checked after `clear`: a later write sets it again
                self._not_full.wait()
        self._producer_waiting = False

    def run(self) -> None:
        """Write what is queued; body of the thread."""
        lower_thread_priority()
        while self._run_batch():
            pass
        if self.is_dropped:
            with suppress(Exception):  # nobody is left to be told
                self._sink.close(is_complete=False)

    def _run_batch(self) -> bool:
        """Write the next frames; return False at the end."""
        self.is_idle = True
        if not self.queue:  # checked after the flag is set: a later `write` wakes this thread
            self.wakeup.get()
        self.is_idle = False
        with suppress(Empty):
            self.wakeup.get(timeout=_BATCH_S)
        while self.queue:
            item = self.queue.popleft()
            if item is None:
                return False
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item)
        return True

    def _is_half_empty(self) -> bool:
        return self._put_frames - self.written_frames <= self._max_queued_frames // 2

    def _write(self, rows: _Rows) -> None:
        """Write a frame; after an error it is only counted, so that the caller never blocks."""
        if self.error is None:
            try:
                self._sink.write(*rows)
            except BaseException as error:  # raised again in the caller's thread
                self.error = error
        self.written_frames += 1
        if self._producer_waiting and self._is_half_empty():
            self._not_full.set()


def _end_dropped(writer: _Writer, thread: threading.Thread) -> None:
    writer.is_dropped = True
    writer.stop()
    if thread is not threading.current_thread():
        thread.join(_JOIN_TIMEOUT_S)
    warnings.warn("unclosed ThreadedSink: call close()", ResourceWarning, stacklevel=2)

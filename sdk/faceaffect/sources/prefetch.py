"""Decoding in a thread of its own, a few frames ahead of the consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator

from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Frame

_JOIN_S = 2.0  # a decoder that hangs in the operating system must not hang the program with it


class FramePrefetcher:
    """Runs a generator of frames in a thread and holds at most `prefetch_frames` of them.

    What the generator raises is raised in the consumer, after the frames before it. The
    generator is closed in the thread that ran it, so that a capture is never released while it
    reads.
    """

    def __init__(self, frames: Generator[Frame, None, None], prefetch_frames: int) -> None:
        self._frames, self._ahead_frames = frames, prefetch_frames
        self._ready: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._finished = self._closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._decode, name="faceaffect-decode", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._finished or self._closed)
                if self._closed or not self._ready:
                    break
                frame = self._ready.popleft()
                self._changed.notify()
            yield frame
        if self._error is not None and not self._closed:
            raise self._error

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    def _decode(self) -> None:
        lower_thread_priority()
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
        except BaseException as error:  # raised again by the consumer
            self._error = error
        finally:
            self._frames.close()
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ready) < self._ahead_frames)
            if not self._closed:
                self._ready.append(frame)
                self._changed.notify()
            return not self._closed

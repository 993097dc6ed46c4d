"""Decodes frames in a background thread, a few ahead of the consumer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Final

from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Frame

# A decoder that hangs in the operating system must not hang the program.
_JOIN_TIMEOUT_S: Final = 2.0


class FramePrefetcher:
    """Runs a generator of frames in a thread and buffers at most `prefetch_frames` of them.

    An error of the generator is raised in the consumer, after the frames before it. The generator
    is closed in the thread that ran it, so that a capture is never released while it reads.
    """

    def __init__(self, frames: Generator[Frame, None, None], prefetch_frames: int) -> None:
        """Start the thread."""
        self._frames = frames
        self._prefetch_frames = prefetch_frames
        self._buffer: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._is_finished = False
        self._is_closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._decode, name="faceaffect-decode", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._buffer or self._is_finished or self._is_closed)
                if self._is_closed or not self._buffer:
                    break
                frame = self._buffer.popleft()
                self._changed.notify()
            yield frame
        if self._error is not None and not self._is_closed:
            raise self._error

    def close(self) -> None:
        """Stop the thread and drop the buffered frames."""
        with self._changed:
            self._is_closed = True
            self._buffer.clear()
            self._changed.notify_all()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _decode(self) -> None:
        lower_thread_priority()
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
        except BaseException as error:  # raised again in the consumer's thread
            self._error = error
        finally:
            self._frames.close()
            with self._changed:
                self._is_finished = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Buffer a frame once there is room; return False if the consumer has closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or len(self._buffer) < self._prefetch_frames
            )
            if not self._is_closed:
                self._buffer.append(frame)
                self._changed.notify()
            return not self._is_closed

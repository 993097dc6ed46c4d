"""Decodes frames in a background thread, a few ahead of the consumer."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections import deque
from collections.abc import Generator, Iterator
from typing import Final

from faceaffect.system.thread_priority import lower_thread_priority
from faceaffect.types import Frame

# A decoder that hangs in the operating system must not hang the program.
_JOIN_TIMEOUT_S: Final = 2.0
MAX_BUFFER_BYTES: Final[int] = 256 << 20


class FramePrefetcher:
    """Runs a generator of frames in a thread and buffers at most `prefetch_frames` of them.

    It buffers fewer, but at least one, if they have more than `MAX_BUFFER_BYTES` together.

    An error of the generator is raised in the consumer, after the frames before it. The generator
    is closed in the thread that ran it, so that a capture is never released while it reads.

    The thread ends with the iteration, with `close`, or once the iterator is dropped: then nobody
    can read another frame. A ResourceWarning tells if that was before the end and without `close`.
    """

    def __init__(self, frames: Generator[Frame, None, None], prefetch_frames: int) -> None:
        """Start the thread."""
        self._decoder = _Decoder(frames, prefetch_frames)
        self._thread = threading.Thread(
            target=self._decoder.run, name="faceaffect-decode", daemon=True
        )
        self._finalizer = weakref.finalize(self, _end_dropped, self._decoder)
        try:
            self._thread.start()
        except RuntimeError:  # the system has no thread left
            self._finalizer.detach()
            raise

    def __iter__(self) -> Iterator[Frame]:
        return _FrameIterator(self, self._decoder)

    def close(self) -> None:
        """Stop the thread and drop the buffered frames."""
        self._finalizer.detach()
        self._decoder.stop()
        self._thread.join(_JOIN_TIMEOUT_S)


class _FrameIterator(Iterator[Frame]):
    """Frames of a prefetcher, which stops when the iterator is dropped.

    It keeps the prefetcher: in `for frame in open_source(path)` nothing else does.
    """

    def __init__(self, prefetcher: FramePrefetcher, decoder: _Decoder) -> None:
        self._prefetcher = prefetcher
        self._decoder = decoder
        weakref.finalize(self, decoder.stop)

    def __next__(self) -> Frame:
        return self._decoder.next_frame()


class _Decoder:
    """What the thread runs on; it refers to nothing of the consumer."""

    def __init__(self, frames: Generator[Frame, None, None], prefetch_frames: int) -> None:
        self._frames = frames
        self._prefetch_frames = prefetch_frames
        self._buffer: deque[Frame] = deque()
        # Reentrant: the iterator may be dropped, and then stops this, in any line of any thread.
        self._changed = threading.Condition(threading.RLock())
        self._is_closed = False
        self._error: BaseException | None = None
        self._is_finished = False
        self.is_exhausted = False  # ended by itself

    def next_frame(self) -> Frame:
        """Wait for the next frame; raises StopIteration at the end, or the error of the frames."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._is_finished or self._is_closed)
            if self._buffer and not self._is_closed:
                frame = self._buffer.popleft()
                self._changed.notify()
                return frame
        error, self._error = self._error, None
        if error is not None and not self._is_closed:
            raise error
        raise StopIteration

    def stop(self) -> None:
        """Ask the thread to end and drop the buffered frames."""
        with self._changed:
            self._is_closed = True
            self._buffer.clear()
            self._changed.notify_all()

    def run(self) -> None:
        """Decode; body of the thread."""
        lower_thread_priority()
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
            else:
                self.is_exhausted = True
        except BaseException as error:  # raised again in the consumer's thread
            self._error = error
            self.is_exhausted = True
        finally:
            self._frames.close()
            with self._changed:
                self._is_finished = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Buffer a frame once there is room; return False if the consumer has closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_room(frame))
            if not self._is_closed:
                self._buffer.append(frame)
                self._changed.notify()
            return not self._is_closed

    def _has_room(self, frame: Frame) -> bool:
        held_bytes = sum(held.pixels.nbytes for held in self._buffer)
        return not self._buffer or (
            len(self._buffer) < self._prefetch_frames
            and held_bytes + frame.pixels.nbytes <= MAX_BUFFER_BYTES
        )


def _end_dropped(decoder: _Decoder) -> None:
    is_early = not decoder.is_exhausted
    decoder.stop()
    if is_early:
        warnings.warn("unclosed source: call close()", ResourceWarning, stacklevel=2)

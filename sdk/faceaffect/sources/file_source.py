"""Base class of sources that read files: frames are decoded ahead, and none is dropped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator

from faceaffect.sources.prefetch import FramePrefetcher
from faceaffect.sources.source import PrefetchingSource, SourceError, SourceOptions
from faceaffect.types import Frame


class FileSource(PrefetchingSource, ABC):
    """A source that drops no frame; subclasses supply the frames with `_decode`."""

    is_live = False
    is_sequence = True
    fps: float | None = None
    frame_count: int | None = None
    size_px: tuple[int, int] | None = None
    dropped = 0

    def __init__(self, name: str, options: SourceOptions) -> None:
        """Prepare a source; decoding starts with the iteration."""
        self.name = name
        self.notes: list[str] = []
        self._options = options
        self._callback: Callable[[Frame], None] | None = None
        self._prefetcher: FramePrefetcher | None = None
        self._has_thread = False
        self._is_closed = False

    @abstractmethod
    def _decode(self) -> Generator[Frame, None, None]:
        """Yield the frames from `start_frame` or `seek_s` on."""

    def _release(self) -> None:  # a hook: not every source holds something open
        """Free what was opened; called once, after the last read."""

    def _frames(self) -> Generator[Frame, None, None]:
        try:
            for frame in self._decode():
                if self._callback is not None:
                    self._callback(frame)
                yield frame
        finally:
            self._release()

    def on_frame_decoded(self, callback: Callable[[Frame], None]) -> None:
        """Call `callback` with each frame once it is decoded, in the decoding thread.

        Raises:
            SourceError: iteration has begun.
        """
        if self._prefetcher is not None:
            raise SourceError(
                f"{self.name}: on_frame_decoded() must be called before iterating over the source"
            )
        self._callback = callback

    def __iter__(self) -> Iterator[Frame]:
        if self._has_thread or self._is_closed:
            raise SourceError(f"{self.name}: a source can be read once; open it again")
        # Before the thread starts: a signal may interrupt this line when it already reads.
        self._has_thread = True
        try:
            self._prefetcher = FramePrefetcher(self._frames(), self._options.prefetch_frames)
        except RuntimeError:  # the system has no thread left
            self._has_thread = False
            raise
        return iter(self._prefetcher)

    def close(self) -> None:
        """Stop decoding and release the file, which the decoding thread does if there is one."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._has_thread:
            self._release()
        elif self._prefetcher is not None:
            self._prefetcher.close()

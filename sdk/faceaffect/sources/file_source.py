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
        if self._prefetcher is not None or self._is_closed:
            raise SourceError(f"{self.name}: a source can be read once; open it again")
        self._prefetcher = FramePrefetcher(self._frames(), self._options.prefetch_frames)
        return iter(self._prefetcher)

    def close(self) -> None:
        """Stop decoding and release the file."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._prefetcher is None:
            self._release()
        else:
            self._prefetcher.close()

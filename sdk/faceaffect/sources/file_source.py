"""What video files and images have in common: frames decoded ahead, once, and closed promptly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import TypeVar

from faceaffect.sources.prefetch import FramePrefetcher
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import Frame

SelfFile = TypeVar("SelfFile", bound="FileSource")


class FileSource(ABC):
    """A source of which no frame is lost; what it reads is supplied by `_decode`."""

    is_live = False
    is_sequence = True
    fps: float | None = None
    frame_count: int | None = None
    size_px: tuple[int, int] | None = None
    dropped = 0

    def __init__(self, name: str, options: SourceOptions) -> None:
        self.name, self._options = name, options
        self.notes: list[str] = []
        self._see: Callable[[Frame], None] | None = None
        self._ahead: FramePrefetcher | None = None
        self._closed = False

    @abstractmethod
    def _decode(self) -> Generator[Frame, None, None]:
        """The frames from the first wanted one on, as they are read."""

    def _release(self) -> None:  # a hook: not every source holds something open  # noqa: B027
        """Free what was opened; called once, when nothing reads any more."""

    def _frames(self) -> Generator[Frame, None, None]:
        try:
            for frame in self._decode():
                if self._see is not None:
                    self._see(frame)
                yield frame
        finally:
            self._release()

    def on_frame_decoded(self, callback: Callable[[Frame], None]) -> None:
        if self._ahead is not None:
            raise SourceError(
                f"{self.name}: frames are shown beforehand to those only who ask before the first is read"
            )
        self._see = callback

    def __iter__(self) -> Iterator[Frame]:
        if self._ahead is not None or self._closed:
            raise SourceError(f"{self.name}: a source is read once; open it again to read it again")
        self._ahead = FramePrefetcher(self._frames(), self._options.prefetch_frames)
        return iter(self._ahead)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._ahead is None:
            self._release()
        else:
            self._ahead.close()

    def __enter__(self: SelfFile) -> SelfFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

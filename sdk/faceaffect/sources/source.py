"""What every source of frames is and can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from faceaffect.types import Frame

SelfSource = TypeVar("SelfSource", bound="Source")


class SourceError(ValueError):
    """A source that cannot be read: what was wanted, what came, what to do."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read.

    `start_frame` skips the frames before it (a live source only counts from there); `seek_s`
    begins a video file near that time instead, at once, and counts frames as the file's frame
    rate says, which a variable one may not bear out. `prefetch_frames` is how many frames are
    decoded before they are asked for, `image_fps` makes the time stamps of a folder of images
    (time_s = index / image_fps), `is_video` says that such images follow each other as the
    frames of one video. `reconnect_timeout_s` is how long a camera or stream that went away is
    waited for before the source ends.
    """

    start_frame: int = 0
    seek_s: float = 0.0
    prefetch_frames: int = 4
    image_fps: float = 30.0
    is_video: bool = False
    reconnect_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if (
            min(self.start_frame, self.seek_s, self.reconnect_timeout_s) < 0
            or self.prefetch_frames < 1
            or self.image_fps <= 0
        ):
            raise SourceError(
                "source options must have start_frame >= 0, seek_s >= 0, prefetch_frames >= 1, image_fps > 0 and "
                f"reconnect_timeout_s >= 0, got {self}"
            )


class Source(Protocol):
    """Frames, once, in their order. Close it (or use `with`) to stop its thread and free the file
    or camera.
    """

    name: str
    """What was opened, as the user wrote it (without the password of a stream)."""
    is_live: bool
    """Whether frames that are not fetched in time are lost."""
    is_sequence: bool
    """Whether one frame follows another in time; False for images that have nothing to do with each
    other.
    """
    fps: float | None
    frame_count: int | None
    """How many frames the container promises, skipped ones included; None when it cannot be known.
    """
    size_px: tuple[int, int] | None
    """Width and height of the first frame; a later frame may differ."""
    dropped: int
    """Frames of a live source that nobody fetched in time."""
    notes: list[str]
    """What the user should know: frames lost, files skipped."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...

    def __enter__(self: SelfSource) -> SelfSource: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class PrefetchingSource(Source, Protocol):
    """A source whose frames are read some time before they are asked for."""

    def on_frame_decoded(self, callback: Callable[[Frame], None]) -> None:
        """Have `callback` called with each frame once it is read, by the thread that reads; to be asked
        for before the first.
        """
        ...

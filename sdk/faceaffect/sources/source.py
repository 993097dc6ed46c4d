"""Interface of frame sources, their options and their error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, TypeVar, runtime_checkable

from faceaffect.errors import FaceAffectError
from faceaffect.system.import_opencv import DEFAULT_MAX_IMAGE_PIXELS
from faceaffect.types import Frame

SelfSource = TypeVar("SelfSource", bound="Source")


class SourceError(FaceAffectError, ValueError):
    """A source that cannot be read; the message says what was expected and what to do.

    Examples:
        >>> import faceaffect as fa
        >>> issubclass(fa.SourceError, ValueError)
        True
    """


DEFAULT_MAX_VIDEO_PIXELS: Final[int] = 8192 * 4320
"""35 megapixels, the largest format of cinemas. A decoder may hold 16 frames for reference, which
are 1.7 GB with the ones that wait."""


def check_pixel_count(name: str, width_px: int, height_px: int, max_pixels: int) -> None:
    """Raise SourceError if an image, or the frames of a video, have more than `max_pixels`."""
    if width_px * height_px > max_pixels:
        raise SourceError(
            f"{name}: expected at most {max_pixels} pixels, got {width_px} x {height_px}; "
            "raise --max-pixels if you trust the file"
        )


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of a source.

    Attributes:
        start_frame: number of frames to skip; a camera skips none and starts counting there.
        seek_s: time near which a video file starts, without decoding what is before it. Its
            frames are then numbered by the file's frame rate, which is wrong if that varies.
        prefetch_frames: number of frames decoded ahead of the consumer.
        image_fps: frame rate of a folder of images: time_s = index / image_fps.
        is_video: True if the images of a folder are the frames of one video.
        reconnect_timeout_s: how long to try to reopen a camera or stream that was lost.
        max_pixels: pixels of the largest image, or frame of a video, that is decoded; None for
            `DEFAULT_MAX_IMAGE_PIXELS` and `DEFAULT_MAX_VIDEO_PIXELS`.
        rate_fps: frame rate of a stream without time stamps, as .h264 and .mjpeg are; None for
            what the stream says.
        allow_playlists: whether to open playlists, which may name any file of this machine.
    """

    start_frame: int = 0
    seek_s: float = 0.0
    prefetch_frames: int = 4
    image_fps: float = 30.0
    is_video: bool = False
    reconnect_timeout_s: float = 10.0
    max_pixels: int | None = None
    rate_fps: float | None = None
    allow_playlists: bool = False

    def __post_init__(self) -> None:
        if (
            min(self.start_frame, self.seek_s, self.reconnect_timeout_s) < 0
            or self.prefetch_frames < 1
            or self.image_fps <= 0
            or (self.max_pixels is not None and self.max_pixels < 1)
            or (self.rate_fps is not None and self.rate_fps <= 0)
        ):
            raise SourceError(
                "expected start_frame >= 0, seek_s >= 0, prefetch_frames >= 1, image_fps > 0, "
                f"max_pixels >= 1, rate_fps > 0 and reconnect_timeout_s >= 0, got {self}"
            )

    @property
    def max_image_pixels(self) -> int:
        """Pixels of the largest image that is decoded."""
        return self.max_pixels or DEFAULT_MAX_IMAGE_PIXELS

    @property
    def max_video_pixels(self) -> int:
        """Pixels of the largest frame of a video that is decoded."""
        return self.max_pixels or DEFAULT_MAX_VIDEO_PIXELS


class Source(Protocol):
    """An iterable of frames in order, to be read once.

    Close it (or use `with`) to stop its thread and to release the file or camera.
    """

    name: str
    """What was opened, as the user wrote it (without the password of a stream)."""
    is_live: bool
    """Whether frames that are not fetched in time are dropped."""
    is_sequence: bool
    """Whether frames follow each other in time; False for unrelated images."""
    fps: float | None
    """Nominal frame rate; None if unknown."""
    frame_count: int | None
    """Expected number of frames, skipped ones included; None if unknown.

    It comes from the file's header and may be wrong."""
    size_px: tuple[int, int] | None
    """Width and height of the first frame; a later frame may differ."""
    dropped: int
    """Number of frames of a live source that were not fetched in time."""
    notes: list[str]
    """Remarks for the user: frames lost, files skipped."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Stop reading and release the file or camera."""
        ...

    def __enter__(self: SelfSource) -> SelfSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@runtime_checkable
class PrefetchingSource(Source, Protocol):
    """A source that decodes frames before the consumer asks for them."""

    def on_frame_decoded(self, callback: Callable[[Frame], None]) -> None:
        """Call `callback` with each frame once it is decoded, in the decoding thread.

        Raises:
            SourceError: iteration has begun.
        """
        ...

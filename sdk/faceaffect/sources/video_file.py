"""Source for files of video, FIFOs and pipes."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

from faceaffect.kernels.color_conversion import to_bgr
from faceaffect.sources.display_filter import DecodedFrame, DisplayGeometry
from faceaffect.sources.file_source import FileSource
from faceaffect.sources.media_container import choose_video_stream, open_address, open_file
from faceaffect.sources.path_checks import exists
from faceaffect.sources.source import SourceError, SourceOptions, check_pixel_count
from faceaffect.sources.video_decoder import VideoDecoder
from faceaffect.types import Frame

_TIME_TOLERANCE_S: Final = 1e-3
_SEEK_MARGIN_S: Final = 1.0
_STREAM_OPTION: Final = re.compile(r"(.+)\?stream=(\d+)", re.DOTALL)


class VideoFile(FileSource):
    """Reads what FFmpeg can decode, as a player shows it.

    `time_s` is the presentation time from the container's start; it never runs backwards.
    Rotation, mirroring and the aspect ratio of pixels are applied, interlaced frames are
    deinterlaced. Frames are I420 where the decoder's planes are what is shown, else BGR. A frame in
    mid-stream may have another size than the one before.
    `clip.mkv?stream=2` reads the stream of that number.
    """

    def __init__(
        self,
        path: str | Path,
        options: SourceOptions | None = None,
        container: Any = None,
    ) -> None:
        """Open the file and decode its first frame.

        Args:
            path: the file, or what to call an open container.
            options: how to read it.
            container: an open container to read instead.

        Raises:
            SourceError: the file does not exist or cannot be decoded.
        """
        super().__init__(str(path), options or SourceOptions())
        number = None
        if container is None:
            path, number = split_stream_option(str(path))
            container = open_file(path, self._options)
        self._container = container
        try:
            stream = choose_video_stream(container, number, self.name)
            context = stream.codec_context
            max_pixels = self._options.max_video_pixels
            check_pixel_count(self.name, context.width or 1, context.height or 1, max_pixels)
            self._decoder = VideoDecoder(
                container, stream, self.name, self._options.rate_fps, max_pixels=max_pixels
            )
            self._decoded_frames: Iterator[DecodedFrame] = self._decoder.frames()
            self._first = next(self._decoded_frames, None)
            if self._first is None:
                raise SourceError(
                    f"{path}: expected a video, got a file without a frame that can be decoded; "
                    "convert it"
                )
        except BaseException:
            container.close()
            raise
        self.notes = self._decoder.notes
        self.fps = self._decoder.fps
        self.frame_count = self._decoder.frame_count
        self.size_px = (self._first.pixels.shape[1], self._first.pixels.shape[0])

    @property
    def geometry(self) -> DisplayGeometry | None:
        """How the newest decoded image was turned and scaled, to find its stored pixels."""
        return self._decoder.geometry

    def _release(self) -> None:
        self._container.close()

    def _decode(self) -> Generator[Frame, None, None]:
        options, first = self._options, self._first
        self._first = None
        if self._decoder.skip_until(options.start_frame, options.seek_s):
            self._decoded_frames = self._decoder.frames()
            first = next(self._decoded_frames, None)
            if first is None:  # no key frame after the place: some containers have no index
                self._decoder.rewind()
                self._decoded_frames = self._decoder.frames()
            else:
                yield first.to_frame(self.name)
        elif first is not None and not self._decoder.is_skipped(first.number, first.time_s):
            yield first.to_frame(self.name)
        for image in self._decoded_frames:
            yield image.to_frame(self.name)


def split_stream_option(text: str) -> tuple[Path, int | None]:
    """Split `clip.mkv?stream=2` into path and number, unless a file has this very name."""
    match = _STREAM_OPTION.fullmatch(text)
    if match is None or exists(Path(text)):
        return Path(text), None
    return Path(match[1]), int(match[2])


def open_video_address(uri: str, shown_name: str, options: SourceOptions) -> VideoFile:
    """Open a video that a web server holds; every frame is read.

    Raises:
        SourceError: it cannot be opened.
    """
    return VideoFile(shown_name, options, open_address(uri, shown_name, options))


def read_frame_at(path: Path, time_s: float) -> Any | None:
    """Read the frame with presentation time `time_s`.

    Returns:
        BGR pixels [H, W, 3], or None if no frame has this time.

    Raises:
        SourceError: the file cannot be opened.
    """
    options = SourceOptions(seek_s=max(0.0, time_s - _SEEK_MARGIN_S), prefetch_frames=1)
    with VideoFile(path, options) as source:
        for frame in source:
            if abs(frame.time_s - time_s) < _TIME_TOLERANCE_S:
                return to_bgr(frame)
            if frame.time_s > time_s:
                return None
    return None

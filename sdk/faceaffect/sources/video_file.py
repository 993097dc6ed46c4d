"""Source for video files, with the time stamps of their container."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from faceaffect.sources.capture import (
    CAP_PROP_FRAME_COUNT,
    CAP_PROP_FRAME_HEIGHT,
    CAP_PROP_FRAME_WIDTH,
    CAP_PROP_POS_MSEC,
    capture_fps,
)
from faceaffect.sources.file_source import FileSource
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.source import SourceError, SourceOptions, check_pixel_count
from faceaffect.system.path_text import is_utf8
from faceaffect.types import Frame, PixelFormat

_COMPLETE_FRACTION: Final = 0.99  # containers without a frame index only estimate their count
_SEEK_MARGIN_S: Final = 1.0
_TIME_TOLERANCE_S: Final = 1e-3


class VideoFile(FileSource):
    """Reads a file that OpenCV's FFmpeg can decode.

    `time_s` is the presentation time of the container, so it is right for variable frame rates
    too; it never runs backwards. The rotation that a phone stored in the file is applied. OpenCV
    scales frames of another size in mid-stream to the size of the first one.
    """

    def __init__(self, path: str | Path, options: SourceOptions | None = None) -> None:
        """Open the file and decode its first frame.

        Raises:
            SourceError: the file does not exist or cannot be decoded.
        """
        super().__init__(str(path), options or SourceOptions())
        self._capture = _open_capture(Path(path))
        self.fps = capture_fps(self._capture)
        count = self._capture.get(CAP_PROP_FRAME_COUNT)
        self.frame_count = int(count) if 0 < count < 1e9 else None
        self._offset_s = 0.0
        width_px = int(self._capture.get(CAP_PROP_FRAME_WIDTH))
        height_px = int(self._capture.get(CAP_PROP_FRAME_HEIGHT))
        check_pixel_count(str(path), width_px, height_px, self._options.max_pixels)
        self._first = self._read()
        if self._first is None:
            self._capture.release()
            raise SourceError(
                f"{path}: expected a video, got a file without a frame that can be decoded; "
                "convert it"
            )
        height_px, width_px = self._first[0].shape[:2]
        self.size_px = (width_px, height_px)

    def _release(self) -> None:
        self._capture.release()

    def _read(self) -> tuple[Any, float] | None:
        """Return the pixels and the container's time of the next frame; None at the end."""
        ok, pixels = self._capture.read()
        return (pixels, self._capture.get(CAP_PROP_POS_MSEC) / 1000.0) if ok else None

    def _decode(self) -> Generator[Frame, None, None]:
        index, time_s, read = 0, 0.0, self._first
        self._first = None
        if self._options.seek_s > 0:
            index, read = self._seek(self._options.seek_s)
        while read is not None and index < self._options.start_frame:
            index, time_s = index + 1, read[1]
            # Grabbing decodes without converting: exact where seeking is not, and several times
            # faster than reading.
            while index < self._options.start_frame and self._capture.grab():
                index += 1
            read = self._read()
        while read is not None:
            pixels, container_s = read
            time_s = self._monotonic(container_s, time_s, index)
            pixel_format = PixelFormat.BGR if pixels.ndim == 3 else PixelFormat.GRAY
            yield Frame(pixels, pixel_format, time_s, index, self.name)
            index += 1
            read = self._read()
        self._note_truncation(index, time_s)

    def _seek(self, time_s: float) -> tuple[int, tuple[Any, float] | None]:
        """Return a frame near `time_s` and its number by the frame rate."""
        self._capture.set(CAP_PROP_POS_MSEC, 1000 * time_s)
        read = self._read()
        return (0 if read is None or self.fps is None else round(read[1] * self.fps)), read

    def _monotonic(self, container_s: float, previous_s: float, index: int) -> float:
        """Return a frame's time, which never runs backwards.

        Raw streams have no times (all 0): they are counted. Joined recordings start again at 0:
        they continue one frame later.
        """
        step_s = 1 / self.fps if self.fps else 0.0
        if container_s <= 0 and index > 0:
            container_s = index * step_s - self._offset_s
        if container_s + self._offset_s < previous_s:
            self._offset_s = previous_s + step_s - container_s
        return max(container_s + self._offset_s, 0.0)

    def _note_truncation(self, decoded: int, time_s: float) -> None:
        count, fps = self.frame_count, self.fps
        if count is None or fps is None or decoded >= min(count - 1, count * _COMPLETE_FRACTION):
            return
        if time_s < count / fps * _COMPLETE_FRACTION - 1.5 / fps:
            self.notes.append(
                f"{self.name}: ended after {decoded} of {count} frames: the file looks truncated"
            )


def _open_capture(path: Path) -> Any:
    if not path.exists():
        raise SourceError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise SourceError(
            f"{path}: expected a video, got an empty file (0 bytes); copy or record it again"
        )
    cv2 = import_opencv()
    with _name_for_opencv(path) as name:
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise SourceError(
            f"{path}: expected a video or image, got a file that FFmpeg can open as neither; "
            "it may be damaged, cut short or of another type: try to play it, or convert it to .mp4"
        )
    return capture


@contextmanager
def _name_for_opencv(path: Path) -> Iterator[str]:
    """Yield a name that OpenCV can open.

    It is absolute, because FFmpeg takes what is before a colon in a relative path for a protocol.
    OpenCV crashes on names that are not UTF-8, so such a file is opened here and passed by its
    descriptor.
    """
    if is_utf8(str(path)):
        yield str(path.absolute())
        return
    with path.open("rb") as stream:
        yield f"/proc/self/fd/{stream.fileno()}"


def read_frame_at(path: Path, time_s: float) -> Any | None:
    """Read the frame with presentation time `time_s`.

    Returns:
        Pixels [H, W, 3], or None if no frame has this time.

    Raises:
        SourceError: the file cannot be opened.
    """
    capture = _open_capture(path)
    try:
        # Seeking is not exact: start earlier.
        capture.set(CAP_PROP_POS_MSEC, max(0.0, 1000 * (time_s - _SEEK_MARGIN_S)))
        while capture.grab():
            frame_s = capture.get(CAP_PROP_POS_MSEC) / 1000.0
            if abs(frame_s - time_s) < _TIME_TOLERANCE_S:
                ok, pixels = capture.retrieve()
                return pixels if ok else None
            if frame_s > time_s:
                return None
        return None
    finally:
        capture.release()

"""Frames of a video file with the time stamps of its container."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faceaffect.sources.file_source import FileSource
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.system.path_text import is_utf8
from faceaffect.types import Frame, PixelFormat

_TRUNCATED_SHARE = 0.99  # containers without a frame index only estimate their count
_SEEK_EARLY_S = 1.0
_SAME_TIME_S = 1e-3


class VideoFile(FileSource):
    """A file that OpenCV's FFmpeg can decode.

    `time_s` is the presentation time from the container, so it is right for variable frame rates
    too; it never runs backwards. The rotation that a telephone wrote into the file is applied.
    Frames of another size in mid-stream are delivered as the decoder gives them: OpenCV scales
    them to the size of the first one.
    """

    def __init__(self, path: str | Path, options: SourceOptions | None = None) -> None:
        super().__init__(str(path), options or SourceOptions())
        self._capture = _open_capture(Path(path))
        cv2 = import_opencv()
        fps, count = (
            self._capture.get(cv2.CAP_PROP_FPS),
            self._capture.get(cv2.CAP_PROP_FRAME_COUNT),
        )
        self.fps = fps if 0 < fps < 1000 else None
        self.frame_count = int(count) if 0 < count < 1e9 else None
        self._offset_s = 0.0
        self._first = self._read()
        if self._first is None:
            self._capture.release()
            raise SourceError(
                f"{path}: a video was wanted, this file holds none that decodes; convert it"
            )
        height_px, width_px = self._first[0].shape[:2]
        self.size_px = (width_px, height_px)

    def _release(self) -> None:
        self._capture.release()

    def _read(self) -> tuple[Any, float] | None:
        ok, pixels = self._capture.read()
        return (
            (pixels, self._capture.get(0) / 1000.0) if ok else None
        )  # 0: CAP_PROP_POS_MSEC of the frame just read

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
            yield Frame(
                pixels,
                PixelFormat.BGR if pixels.ndim == 3 else PixelFormat.GRAY,
                time_s,
                index,
                self.name,
            )
            index += 1
            read = self._read()
        self._note_truncation(index, time_s)

    def _seek(self, time_s: float) -> tuple[int, tuple[Any, float] | None]:
        """The number, by the frame rate, and the content of a frame near `time_s`."""
        self._capture.set(0, 1000 * time_s)  # 0: CAP_PROP_POS_MSEC
        read = self._read()
        return (0 if read is None or self.fps is None else round(read[1] * self.fps)), read

    def _monotonic(self, container_s: float, before_s: float, index: int) -> float:
        """Raw streams carry no times (all 0): count them. Joined recordings start again at 0: go on
        one frame later.
        """
        step_s = 1 / self.fps if self.fps else 0.0
        if container_s <= 0 and index > 0:
            container_s = index * step_s - self._offset_s
        if container_s + self._offset_s < before_s:
            self._offset_s = before_s + step_s - container_s
        return max(container_s + self._offset_s, 0.0)

    def _note_truncation(self, delivered: int, time_s: float) -> None:
        wanted, fps = self.frame_count, self.fps
        if wanted is None or fps is None or delivered >= min(wanted - 1, wanted * _TRUNCATED_SHARE):
            return
        if time_s < wanted / fps * _TRUNCATED_SHARE - 1.5 / fps:
            self.notes.append(
                f"{self.name}: ended after {delivered} of {wanted} frames: the file looks truncated"
            )


def _open_capture(path: Path) -> Any:
    if not path.exists():
        raise SourceError(f"{path}: no such file; check the path")
    if path.stat().st_size == 0:
        raise SourceError(
            f"{path}: a video was wanted, this file is empty (0 bytes); copy or record it again"
        )
    cv2 = import_opencv()
    with _name_for_opencv(path) as name:
        capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise SourceError(
            f"{path}: a video or image was wanted, FFmpeg can open this file as neither; "
            "it may be damaged, cut short or of another type: try to play it, or convert it to .mp4"
        )
    return capture


@contextmanager
def _name_for_opencv(path: Path) -> Iterator[str]:
    """An absolute path: FFmpeg would take what stands before a colon in a relative one for a
    protocol.

    OpenCV crashes on names that are not UTF-8, so such a file is opened here and handed over by
    its number.
    """
    if is_utf8(str(path)):
        yield str(path.absolute())
        return
    with path.open("rb") as stream:
        yield f"/proc/self/fd/{stream.fileno()}"


def read_frame_at(path: Path, time_s: float) -> Any | None:
    """Pixels [H, W, 3] of the frame whose presentation time is `time_s`, or None where none has
    this time.

    Raises SourceError for a file that cannot be opened.
    """
    capture = _open_capture(path)
    try:
        capture.set(
            0, max(0.0, 1000 * (time_s - _SEEK_EARLY_S))
        )  # 0: CAP_PROP_POS_MSEC; seeking is not exact
        while capture.grab():
            found_s = capture.get(0) / 1000.0
            if abs(found_s - time_s) < _SAME_TIME_S:
                ok, pixels = capture.retrieve()
                return pixels if ok else None
            if found_s > time_s:
                return None
        return None
    finally:
        capture.release()

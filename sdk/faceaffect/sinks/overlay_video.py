"""Overlay sink that writes a video file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from faceaffect.drawing.score_panel import Canvas
from faceaffect.sinks.sink import SinkError
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import Frame

VIDEO_CODECS: Final[dict[str, tuple[str, ...]]] = {
    ".mp4": ("mp4v",),
    ".webm": ("VP90", "VP80"),
    ".avi": ("MJPG",),
    ".mkv": ("mp4v",),
}
"""FourCC codes to try for each suffix, in order."""
_DEFAULT_FPS: Final = 30.0
_MIN_SIDE_PX: Final = 16  # below this, VP8 writes files that cannot be read
_MAX_REPEAT_S: Final = 5.0
_COMPLETE_FRACTION: Final = 0.9  # of the frames; some containers only estimate their count


class OverlayVideo:
    """Writes a silent video of constant frame rate that keeps the source's time.

    A frame that is shown for longer (variable frame rate, frames dropped by a camera) is
    repeated. Images of another size are fitted into the size of the first one.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        """Write to `path` at `fps` (30 if unknown); the file is opened at the first frame."""
        self.path = str(path)
        self.notes: list[str] = []
        self._fps = fps or _DEFAULT_FPS
        self._writer: Any = None
        self._size_px = (0, 0)
        self._written = 0
        self._first_s = 0.0

    def write(self, frame: Frame, image: Canvas) -> None:
        """Encode an image, repeated as often as its time demands."""
        if self._writer is None:
            self._size_px = _encodable_size_px(image)
            self._writer = self._open()
            self._first_s = frame.time_s
        fitted = fit_into(image, self._size_px)
        due = round((frame.time_s - self._first_s) * self._fps) + 1 - self._written
        for _ in range(max(1, min(due, round(_MAX_REPEAT_S * self._fps)))):
            self._writer.write(fitted)
            self._written += 1

    def close(self) -> None:
        """Finish the video.

        Raises:
            SinkError: the file is incomplete, as on a full disk.
        """
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._require_complete()

    def _require_complete(self) -> None:
        """OpenCV reports no full disk, but then the file does not open or counts fewer frames."""
        capture = cv2.VideoCapture(str(Path(self.path).absolute()), cv2.CAP_FFMPEG)
        try:
            frames = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0.0
        finally:
            capture.release()
        if frames < _COMPLETE_FRACTION * self._written:
            raise SinkError(
                f"{self.path}: expected {self._written} frames, only a part could be written; "
                "is the disk full? The rows are safe: free some space and draw it again"
            )

    def _open(self) -> Any:
        import_opencv()
        codecs = VIDEO_CODECS[Path(self.path).suffix.lower()]
        for codec in codecs:
            writer = cv2.VideoWriter(
                self.path, cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), self._fps, self._size_px
            )
            if writer.isOpened():
                return writer
        raise SinkError(
            f"{self.path}: this OpenCV cannot write {' or '.join(codecs)} at {self._size_px} px; "
            "choose .avi (needs no codec library) or a folder of images"
        )


def _encodable_size_px(image: Canvas) -> tuple[int, int]:
    """Return the even width and height that codecs need."""
    height, width = image.shape[:2]
    return max(width + width % 2, _MIN_SIDE_PX), max(height + height % 2, _MIN_SIDE_PX)


def fit_into(image: Canvas, size_px: tuple[int, int]) -> Canvas:
    """Place an image on a black canvas of `size_px` (width, height).

    It is scaled only if it is of another size, not for a missing row or column.
    """
    width, height = size_px
    if image.shape[:2] == (height, width):
        return image
    if not (0 <= width - image.shape[1] <= 1 and 0 <= height - image.shape[0] <= 1):
        factor = min(width / image.shape[1], height / image.shape[0])
        fitted = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = np.asarray(cv2.resize(image, fitted, interpolation=cv2.INTER_AREA), np.uint8)
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image[:height, :width]
    return canvas

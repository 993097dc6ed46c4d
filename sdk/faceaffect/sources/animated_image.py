"""Source for image files that hold several images: animated WebP and TIFF with pages."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.sources.file_source import FileSource
from faceaffect.sources.read_image import read_image_bytes, to_frame_pixels
from faceaffect.sources.source import SourceError, SourceOptions, check_pixel_count
from faceaffect.system.import_opencv import import_opencv
from faceaffect.system.path_text import is_utf8
from faceaffect.types import Frame

_TIFF_SUFFIXES: Final = frozenset([".tif", ".tiff"])
_HEAD_BYTES: Final = 65536
_MAX_WEBP_FRAMES: Final = 32767
_MAX_PIXELS_AT_ONCE: Final = 1 << 26


def is_animated_webp(path: Path) -> bool:
    """Return whether a WebP file holds several images."""
    header = _head(path, 21)
    return (
        header[:4] == b"RIFF"
        and header[8:16] == b"WEBPVP8X"
        and len(header) == 21
        and bool(header[20] & 2)
    )


def is_animated_png(path: Path) -> bool:
    """Return whether a PNG file holds several images, which FFmpeg reads as a video."""
    head = _head(path, _HEAD_BYTES)
    return head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]


def page_count(path: Path) -> int:
    """Return the number of pages of a TIFF file, 1 for any other."""
    if path.suffix.lower() not in _TIFF_SUFFIXES:
        return 1
    with _name_for_opencv(path) as name:
        return max(1, int(import_opencv().imcount(name)))


def can_read_animations() -> bool:
    """Return whether this OpenCV reads animated WebP (4.11 and later)."""
    return hasattr(import_opencv(), "imdecodeanimation")


class AnimatedImage(FileSource):
    """Reads the images of one file in order.

    Images of a WebP file last as long as it says, pages of a TIFF file 1 / `image_fps`.
    """

    def __init__(self, path: str | Path, options: SourceOptions | None = None) -> None:
        """Find the images.

        Raises:
            SourceError: they cannot be decoded.
        """
        super().__init__(str(path), options or SourceOptions())
        self._path = Path(path)
        self.fps = self._options.image_fps
        self._images = self._webp() if is_animated_webp(self._path) else self._pages()
        first = next(self._images, None)
        if first is None:
            raise SourceError(f"{path}: expected images, got a file of which none can be decoded")
        self._first: tuple[Any, float] | None = first
        self.size_px = (first[0].shape[1], first[0].shape[0])

    def _decode(self) -> Generator[Frame, None, None]:
        index = 0
        image, self._first = self._first, None
        while image is not None:
            if index >= self._options.start_frame and image[1] >= self._options.seek_s:
                pixels, pixel_format = to_frame_pixels(image[0])
                yield Frame(pixels, pixel_format, image[1], index, self.name)
            index += 1
            image = next(self._images, None)

    def _webp(self) -> Iterator[tuple[Any, float]]:
        """Decode some images at a time, so that a long animation does not fill the memory."""
        content = read_image_bytes(self._path)
        # VP8X: width - 1 and height - 1 of the canvas, 24 bits each.
        width_px = int.from_bytes(content[24:27], "little") + 1
        height_px = int.from_bytes(content[27:30], "little") + 1
        check_pixel_count(self.name, width_px, height_px, self._options.max_image_pixels)
        at_once = max(1, _MAX_PIXELS_AT_ONCE // (width_px * height_px))
        self.frame_count = content.count(b"ANMF")
        encoded = np.frombuffer(content, np.uint8)
        time_s = 0.0
        for start in range(0, _MAX_WEBP_FRAMES, at_once):
            ok, animation = import_opencv().imdecodeanimation(encoded, start, at_once)
            durations_s = [float(ms) / 1000 for ms in np.ravel(animation.durations)] if ok else []
            if start == 0 and sum(durations_s) > 0:
                self.fps = len(durations_s) / sum(durations_s)
            for pixels, duration_s in zip(animation.frames, durations_s, strict=bool(ok)):
                yield pixels, time_s
                time_s += duration_s
            if len(durations_s) < at_once:
                return

    def _pages(self) -> Iterator[tuple[Any, float]]:
        cv2 = import_opencv()
        self.frame_count = page_count(self._path)
        size_px: tuple[int, ...] = ()
        with _name_for_opencv(self._path) as name:
            for number in range(self.frame_count):
                ok, pages = cv2.imreadmulti(name, number, 1, flags=cv2.IMREAD_UNCHANGED)
                if not ok or not len(pages):
                    self.notes.append(f"{self.name}: page {number + 1} cannot be decoded")
                elif size_px and pages[0].shape[:2] != size_px:
                    self.notes.append(f"{self.name}: page {number + 1} has another size: left out")
                else:
                    size_px = pages[0].shape[:2]
                    yield pages[0], number / self._options.image_fps


def _head(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError:
        return b""


@contextmanager
def _name_for_opencv(path: Path) -> Iterator[str]:
    """Yield a name that OpenCV can open: it crashes on names that are not UTF-8."""
    if is_utf8(str(path)):
        yield str(path)
        return
    with path.open("rb") as stream:
        yield f"/proc/self/fd/{stream.fileno()}"

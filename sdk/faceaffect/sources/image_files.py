"""Source for an image, a folder of images or the images that a pattern matches."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Final

from faceaffect.sources.file_source import FileSource
from faceaffect.sources.frame_numbers import frame_numbers
from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.path_checks import exists
from faceaffect.sources.patterns import expand_pattern, is_glob
from faceaffect.sources.read_image import VIDEO_CODEC_SUFFIXES, read_image
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import Frame

_NETPBM_SUFFIXES: Final = frozenset([".pbm", ".pgm", ".pnm", ".ppm"])
IMAGE_SUFFIXES: Final = (
    _NETPBM_SUFFIXES
    | VIDEO_CODEC_SUFFIXES
    | frozenset([".bmp", ".dib", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"])
)
UNSUPPORTED_SUFFIXES: Final = frozenset([".jxl"])
"""Suffixes of images that neither OpenCV's nor FFmpeg's wheels can read."""


def is_image(path: Path) -> bool:
    """Return whether a path has the suffix of an image that can be read."""
    # macOS leaves files named ._* beside the real ones.
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._")


class ImageFiles(FileSource):
    """Reads images in natural order; `Frame.source` is the path of each one.

    The time of a single image is 0, that of others index / `image_fps`. The index of a frame of a
    video (`is_video`) is the number in its name, so that gaps stay gaps; other images are counted.
    An unreadable image is skipped and its index stays unused, so that names and indices keep
    matching.
    """

    def __init__(self, name: str | Path, options: SourceOptions | None = None) -> None:
        """Find the images; a single one is read at once.

        Raises:
            SourceError: there is no image, or a single one cannot be read.
        """
        super().__init__(str(name), options or SourceOptions())
        self._paths, self._is_single = _image_paths(str(name), self.notes)
        self.is_sequence = self._options.is_video
        self.frame_count = len(self._paths)
        self.fps = None if self._is_single else self._options.image_fps
        self._indices = list(range(len(self._paths)))
        if self.is_sequence and (numbers := frame_numbers(self._paths)) is not None:
            self._note_gaps(numbers)
            self._indices = numbers
        self._unreadable = 0
        if self._is_single:
            self._single = read_image(self._paths[0], self._options.max_image_pixels)
            self.size_px = (self._single[0].shape[1], self._single[0].shape[0])

    def _decode(self) -> Generator[Frame, None, None]:
        for index, path in zip(self._indices, self._paths, strict=True):
            if index < self._options.start_frame:
                continue
            try:
                if self._is_single:
                    pixels, pixel_format = self._single
                else:
                    pixels, pixel_format = read_image(path, self._options.max_image_pixels)
            except SourceError as error:
                self._unreadable += 1
                self.notes.append(f"skipped {error}")
                continue
            if self.size_px is None:
                self.size_px = (pixels.shape[1], pixels.shape[0])
            yield Frame(
                pixels, pixel_format, index / self.fps if self.fps else 0.0, index, str(path)
            )
        if self._unreadable and self._unreadable == len(self._paths):
            raise SourceError(
                f"{self.name}: none of its {len(self._paths)} images can be decoded; see the notes"
            )

    def _note_gaps(self, numbers: list[int]) -> None:
        missing = numbers[-1] + 1 - min(numbers[0], 1) - len(numbers)
        if missing > 0:
            self.notes.append(
                f"{self.name}: {missing} frames are missing by the numbers of its images; "
                "frame and time follow the numbers"
            )


def _image_paths(name: str, notes: list[str]) -> tuple[list[Path], bool]:
    """Return the images that `name` stands for, and whether it is the path of a single one."""
    path = Path(name)
    if path.is_dir():
        paths = _images_in(path, notes)
    elif exists(path):
        return [path], True
    elif is_glob(name):
        paths = [entry for entry in expand_pattern(path) if is_image(entry) and entry.is_file()]
        if not paths:
            raise SourceError(f"{name}: expected images, got a pattern that matches none; check it")
    else:
        raise SourceError(f"{name}: no such file; check the path")
    return sorted(paths, key=natural_sort_key), False


def _images_in(folder: Path, notes: list[str]) -> list[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise SourceError(
            f"{folder}: the folder cannot be read ({error.strerror}); check its permissions"
        ) from None
    paths = [entry for entry in entries if is_image(entry) and entry.is_file()]
    unsupported = [entry.name for entry in entries if entry.suffix.lower() in UNSUPPORTED_SUFFIXES]
    if unsupported:
        notes.append(
            f"skipped {len(unsupported)} images like {unsupported[0]}, which cannot be read; "
            "convert them to .jpg"
        )
    if not paths:
        names = sorted(entry.name for entry in entries)
        more = " ..." if len(names) > 3 else ""
        content = f"one with {', '.join(names[:3])}{more}" if names else "an empty one"
        raise SourceError(
            f"{folder}: expected a folder with images, got {content}; "
            "pass its files one by one, or a folder of .png or .jpg files"
        )
    return paths

"""One image, a folder of images or those that a pattern matches."""

from __future__ import annotations

import glob
from collections.abc import Generator
from pathlib import Path
from typing import Final

from faceaffect.sources.file_source import FileSource
from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.read_image import is_animated_webp, read_image
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import Frame

IMAGE_SUFFIXES: Final = frozenset(
    [
        ".bmp",
        ".dib",
        ".jpeg",
        ".jpg",
        ".jp2",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ]
)


UNSUPPORTED_SUFFIXES: Final = frozenset([".avif", ".heic", ".heif", ".jxl"])
"""Images that OpenCV's wheels cannot read."""


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(
        "._"
    )  # macOS leaves such twins


def is_glob(text: str) -> bool:
    return any(letter in text for letter in "*?[")


class ImageFiles(FileSource):
    """Images in natural order; each one's own path is its `Frame.source`.

    A single image has time_s 0, others index / `image_fps`, also where an unreadable one was
    skipped: its index stays free, so that names and indices keep matching.
    """

    def __init__(self, name: str | Path, options: SourceOptions | None = None) -> None:
        super().__init__(str(name), options or SourceOptions())
        self._paths, self._is_single = _image_paths(str(name), self.notes)
        self.is_sequence = self._options.is_video
        self.frame_count = len(self._paths)
        self.fps = None if self._is_single else self._options.image_fps
        self._unreadable = 0
        if self._is_single:
            self._only = read_image(self._paths[0])
            if is_animated_webp(self._paths[0]):
                self.notes.append(
                    f"{name}: only the first image of this animation is read; convert it to .mp4 or .gif"
                )
            self.size_px = (self._only[0].shape[1], self._only[0].shape[0])

    def _decode(self) -> Generator[Frame, None, None]:
        for index in range(self._options.start_frame, len(self._paths)):
            path = self._paths[index]
            try:
                pixels, layout = self._only if self._is_single else read_image(path)
            except SourceError as error:
                self._unreadable += 1
                self.notes.append(f"skipped {error}")
                continue
            if self.size_px is None:
                self.size_px = (pixels.shape[1], pixels.shape[0])
            yield Frame(pixels, layout, index / self.fps if self.fps else 0.0, index, str(path))
        if self._unreadable == len(self._paths):
            raise SourceError(
                f"{self.name}: none of its {len(self._paths)} images can be decoded; see the notes"
            )


def _image_paths(name: str, notes: list[str]) -> tuple[list[Path], bool]:
    """The images that `name` stands for, and whether it is the path of a single one."""
    path = Path(name)
    if path.is_dir():
        found = [entry for entry in path.iterdir() if is_image(entry) and entry.is_file()]
        if foreign := [
            entry.name for entry in path.iterdir() if entry.suffix.lower() in UNSUPPORTED_SUFFIXES
        ]:
            notes.append(
                f"skipped {len(foreign)} images like {foreign[0]}, which OpenCV cannot read; convert them to .jpg"
            )
        if not found:
            raise SourceError(
                f"{name}: a folder with images was wanted, this one holds none ({_listing(path)}); "
                "give the files in it one by one, or a folder of .png or .jpg files"
            )
    elif path.exists():
        return [path], True
    elif is_glob(name):
        found = [
            entry
            for entry in map(Path, glob.glob(name, recursive=True))
            if is_image(entry) and entry.is_file()
        ]
        if not found:
            raise SourceError(
                f"{name}: a pattern that matches images was wanted, it matches none; check it"
            )
    else:
        raise SourceError(f"{name}: no such file; check the path")
    return sorted(found, key=natural_sort_key), False


def _listing(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return (
        "it is empty"
        if not names
        else f"it holds {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
    )

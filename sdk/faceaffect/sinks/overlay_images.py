"""Overlay images as image files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2

from faceaffect.drawing.score_panel import Canvas
from faceaffect.sinks.sink import SinkError
from faceaffect.system.path_text import to_utf8_text
from faceaffect.types import Frame

IMAGE_FORMATS: Final = (".png", ".jpg", ".jpeg")


class OverlayImage:
    """The one image of a source of one image."""

    def __init__(self, path: Path) -> None:
        self.path, self.notes = str(path), list[str]()

    def write(self, frame: Frame, image: Canvas) -> None:
        write_image(Path(self.path), image)

    def close(self) -> None:
        pass


class OverlayFolder:
    """An image per frame, named after the image that it shows."""

    def __init__(self, folder: Path) -> None:
        self.path, self.notes = str(folder), list[str]()
        self._folder = folder
        self._taken: set[str] = set()
        make_folder(folder)

    def write(self, frame: Frame, image: Canvas) -> None:
        name = to_utf8_text(Path(frame.source).stem)
        if name in self._taken:
            name = f"{name}_{frame.index}"
        self._taken.add(name)
        path = self._folder / f"{name}.png"
        if path.exists() and Path(frame.source).exists() and path.samefile(frame.source):
            raise SinkError(
                f"{path}: this is an input, which would be written over; choose another --overlay"
            )
        write_image(path, image)

    def close(self) -> None:
        pass


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(
            f"{folder}: the overlay folder cannot be made ({error.strerror}); choose another --overlay"
        ) from None


def write_image(path: Path, image: Canvas) -> None:
    encoded, data = cv2.imencode(path.suffix, image)
    try:
        if not encoded:
            raise OSError(0, "OpenCV cannot encode it")
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(
            f"{path}: the overlay cannot be written ({error.strerror}); make room or drop --overlay"
        ) from None

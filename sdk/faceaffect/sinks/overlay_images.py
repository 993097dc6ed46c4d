"""Overlay sinks that write image files."""

from __future__ import annotations

from pathlib import Path

import cv2

from faceaffect.drawing.canvas import Canvas
from faceaffect.sinks.sink import SinkError
from faceaffect.system.path_text import to_utf8_text
from faceaffect.types import Frame


class OverlayImage:
    """Writes the overlay of a source that is a single image."""

    def __init__(self, path: Path) -> None:
        """Write to `path`, whose suffix selects the format."""
        self.path = str(path)
        self.notes: list[str] = []

    def write(self, frame: Frame, image: Canvas) -> None:
        """Write the image."""
        write_image(Path(self.path), image)

    def close(self) -> None:
        """Do nothing: the file is complete."""


class OverlayFolder:
    """Writes one image per frame, named after the image file of the frame."""

    def __init__(self, folder: Path) -> None:
        """Create the folder.

        Raises:
            SinkError: it cannot be created.
        """
        self.path = str(folder)
        self.notes: list[str] = []
        self._folder = folder
        self._used_names: set[str] = set()
        make_folder(folder)

    def write(self, frame: Frame, image: Canvas) -> None:
        """Write the image; equal names get the frame number added."""
        name = to_utf8_text(Path(frame.source).stem)
        if name in self._used_names:
            name = f"{name}_{frame.index}"
        self._used_names.add(name)
        path = self._folder / f"{name}.png"
        require_not_an_input(path, [frame.source])
        write_image(path, image)

    def close(self) -> None:
        """Do nothing: the files are complete."""


def require_not_an_input(path: Path, inputs: list[str]) -> None:
    """Refuse to overwrite an input file.

    Raises:
        SinkError: `path` is one of `inputs`.
    """
    if path.exists() and any(Path(name).exists() and path.samefile(name) for name in inputs):
        raise SinkError(
            f"{path}: this is an input, which would be overwritten; choose another --overlay"
        )


def make_folder(folder: Path) -> None:
    """Create a folder for overlays.

    Raises:
        SinkError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(
            f"{folder}: the overlay folder cannot be created ({error.strerror}); "
            "choose another --overlay"
        ) from None


def write_image(path: Path, image: Canvas) -> None:
    """Encode and write an image.

    Raises:
        SinkError: it cannot be written.
    """
    is_encoded, data = cv2.imencode(path.suffix, image)
    try:
        if not is_encoded:
            raise OSError(0, "OpenCV cannot encode it")
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SinkError(
            f"{path}: the overlay cannot be written ({error.strerror}); "
            "free some space or leave out --overlay"
        ) from None

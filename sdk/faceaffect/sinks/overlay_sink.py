"""Interface of the sinks of overlay images."""

from __future__ import annotations

from typing import Protocol

from faceaffect.drawing.canvas import Canvas
from faceaffect.types import Frame


class OverlaySink(Protocol):
    """Writes annotated images in order; `notes` holds remarks for the user."""

    path: str
    notes: list[str]

    def write(self, frame: Frame, image: Canvas) -> None:
        """Write the annotated `image` of `frame`.

        Raises:
            SinkError: it cannot be written.
        """
        ...

    def close(self) -> None:
        """Finish the file."""
        ...

"""What every sink of overlay images is and can do."""

from __future__ import annotations

from typing import Protocol

from faceaffect.drawing.score_panel import Canvas
from faceaffect.types import Frame


class OverlaySink(Protocol):
    """Takes drawn images in order; `notes` says what the user should know of them."""

    path: str
    notes: list[str]

    def write(self, frame: Frame, image: Canvas) -> None: ...

    def close(self) -> None: ...

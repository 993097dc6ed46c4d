"""Subset of `cv2.VideoCapture` that sources use."""

from __future__ import annotations

from typing import Any, Final, Protocol

# OpenCV's constants, repeated so that it is imported only where something is opened.
CAP_PROP_POS_MSEC: Final = 0
CAP_PROP_FRAME_WIDTH: Final = 3
CAP_PROP_FRAME_HEIGHT: Final = 4
CAP_PROP_FPS: Final = 5
CAP_PROP_FRAME_COUNT: Final = 7


class Capture(Protocol):
    """An open `cv2.VideoCapture`, or a stand-in of a test."""

    def isOpened(self) -> bool:  # noqa: N802
        """Return whether frames can be read."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Return whether there was a frame, and its pixels."""
        ...

    def get(self, prop: int, /) -> float:
        """Return a property, 0 if unknown."""
        ...

    def release(self) -> None:
        """Close the file or device."""
        ...


def capture_fps(capture: Capture) -> float | None:
    """Return the frame rate that a capture reports; None if it is implausible."""
    fps = capture.get(CAP_PROP_FPS)
    return fps if 0 < fps < 1000 else None


def capture_size_px(capture: Capture) -> tuple[int, int] | None:
    """Return the width and height that a capture reports; None if it reports none."""
    width_px = int(capture.get(CAP_PROP_FRAME_WIDTH))
    height_px = int(capture.get(CAP_PROP_FRAME_HEIGHT))
    return (width_px, height_px) if width_px > 0 and height_px > 0 else None

"""Colors and opaque shapes on an image, drawn in place and clipped to it."""

from __future__ import annotations

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Canvas = NDArray[np.uint8]
"""BGR pixels [H, W, 3] that are drawn on in place."""
Color = tuple[int, int, int]
"""Blue, green, red."""


@cache
def bgr(hex_color: str) -> Color:
    """Return the color of `#rrggbb`."""
    red, green, blue = bytes.fromhex(hex_color[1:])
    return blue, green, red


SURFACE: Final = bgr("#0f141b")  # of panels and labels
TRACK: Final = bgr("#1f2733")  # of an empty bar
LINE: Final = bgr("#384252")
TEXT: Final = bgr("#f2f5f9")
DIM_TEXT: Final = bgr("#8b96a6")
IDLE: Final = bgr("#4d617e")  # bar of an AU that is not active


def fill(
    canvas: Canvas, left: float, top: float, right: float, bottom: float, color: Color
) -> None:
    """Fill a rectangle; the right and bottom edges are not part of it."""
    x1, y1, x2, y2 = round(left), round(top), round(right), round(bottom)
    if x2 > x1 and y2 > y1:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), color, cv2.FILLED)


def paste(canvas: Canvas, image: Canvas, left: float, top: float) -> None:
    """Copy an image onto the canvas, cut off at its edges."""
    x, y = round(left), round(top)
    height, width = image.shape[:2]
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + width, canvas.shape[1]), min(y + height, canvas.shape[0])
    if x2 > x1 and y2 > y1:
        canvas[y1:y2, x1:x2] = image[y1 - y : y2 - y, x1 - x : x2 - x]

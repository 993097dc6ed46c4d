"""The plane of valence and arousal: a square with axes, names and the trail of a face."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np

from faceaffect.drawing.canvas import (
    DIM_TEXT,
    LINE,
    SURFACE,
    TRACK,
    Canvas,
    Color,
    bgr,
    fill,
    paste,
)
from faceaffect.drawing.palette import ACTIVE_COLOR, VALENCE_COLOR
from faceaffect.drawing.text import draw_text, text_image

TRAIL_S: Final = 2.0
_SUBPIXEL_BITS: Final = 3
_TRAIL: Final = bgr(VALENCE_COLOR)
_OLD_TRAIL: Final = bgr("#2b5570")
_DOT: Final = bgr(ACTIVE_COLOR)
CORNERS: Final = (("tense", 0, 0), ("excited", 1, 0), ("sad", 0, 1), ("calm", 1, 1))
"""Names of the quarters: left to right is valence, bottom to top is arousal."""

Point = tuple[float, float, float]
"""Time, valence and arousal."""


class TrailMemory:
    """Keeps where each face was during the last seconds."""

    def __init__(self) -> None:
        """Start without points."""
        self._points: dict[int, deque[Point]] = {}

    def add(self, track_id: int, time_s: float, valence: float, arousal: float) -> list[Point]:
        """Add a point, and return those of the last `TRAIL_S` of the face, oldest first."""
        points = self._points.setdefault(track_id, deque())
        if points and time_s < points[-1][0]:  # another source
            points.clear()
        points.append((time_s, valence, arousal))
        while time_s - points[0][0] > TRAIL_S:
            points.popleft()
        return list(points)

    def forget_others(self, track_ids: Iterable[int]) -> None:
        """Forget the faces that are not among `track_ids`."""
        kept = set(track_ids)
        self._points = {key: points for key, points in self._points.items() if key in kept}


def draw_va_axes(canvas: Canvas, left: float, top: float, side_px: float, text_px: float) -> None:
    """Draw an empty square; what does not change from frame to frame."""
    right, bottom = left + side_px, top + side_px
    fill(canvas, left, top, right, bottom, TRACK)
    line = max(1, round(side_px / 90))
    middle_x, middle_y = round(left + side_px / 2), round(top + side_px / 2)
    fill(canvas, middle_x, top, middle_x + line, bottom, LINE)
    fill(canvas, left, middle_y, right, middle_y + line, LINE)
    inset = 0.45 * text_px
    for name, is_right, is_bottom in CORNERS:
        x = right - inset if is_right else left + inset
        y = bottom - 0.8 * text_px if is_bottom else top + 0.8 * text_px
        place = (x, y)
        draw_text(canvas, name, place, text_px, DIM_TEXT, background=TRACK, anchor=is_right)
    axis_y = bottom + 0.75 * text_px
    draw_text(canvas, "valence →", (left + side_px / 2, axis_y), text_px, DIM_TEXT, anchor=0.5)
    _draw_upwards(canvas, "arousal →", left - 0.75 * text_px, top + side_px / 2, text_px)


def draw_va_point(
    canvas: Canvas, left: float, top: float, side_px: float, trail: list[Point]
) -> None:
    """Draw the last point of a trail as a dot and the others as a line, all inside the square."""
    known = [point for point in trail if math.isfinite(point[1] + point[2])]
    if not known or known[-1] is not trail[-1]:
        return
    radius = 0.045 * side_px
    values = np.clip(np.array(known)[:, 1:], -1, 1) * [1, -1]
    # The dot is inside as a whole, also in a corner.
    places = np.array([left, top]) + radius + (values + 1) / 2 * (side_px - 2 * radius)
    fixed = np.rint(places * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    thickness = max(1, round(side_px / 60))
    half = len(fixed) // 2
    for part, color in ((fixed[: half + 1], _OLD_TRAIL), (fixed[half:], _TRAIL)):
        if len(part) > 1:
            _polyline(canvas, part, color, thickness)
    x, y = (int(value) for value in fixed[-1])
    size = round(radius * (1 << _SUBPIXEL_BITS))
    cv2.circle(canvas, (x, y), size, _DOT, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _polyline(canvas: Canvas, points: np.ndarray, color: Color, thickness: int) -> None:
    cv2.polylines(canvas, [points], False, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_upwards(canvas: Canvas, text: str, middle_x: float, middle_y: float, size: float) -> None:
    image = np.rot90(text_image(text, max(1, round(size)), DIM_TEXT, SURFACE))
    paste(canvas, image, middle_x - image.shape[1] / 2, middle_y - image.shape[0] / 2)

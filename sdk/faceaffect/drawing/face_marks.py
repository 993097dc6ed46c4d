"""What is drawn on a face itself: corner brackets, contours of the landmarks, a blur."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np

from faceaffect.drawing.canvas import TEXT, Canvas, Color
from faceaffect.types import FloatArray

_OPEN: Final = ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36))  # jaw, brows, nose
_CLOSED: Final = ((36, 42), (42, 48), (48, 60), (60, 68))  # eyes, outer and inner lips
"""First landmark of each contour and the one after its last."""
_BITS: Final = 4  # of a pixel's fraction
_BRACKET_FRACTION: Final = 0.18  # of the shorter side
_BLUR_CELLS: Final = 6
_BLUR_MARGIN: Final = 0.15


def draw_contours(canvas: Canvas, landmarks_xy: FloatArray, scale: float) -> None:
    """Draw landmarks [68, 2] as lines along brows, eyes, nose, mouth and jaw."""
    fixed = np.rint(landmarks_xy * (1 << _BITS)).astype(np.int32)
    thickness = max(1, round(0.8 * scale))
    for is_closed, ranges in ((False, _OPEN), (True, _CLOSED)):
        lines = [fixed[first:end] for first, end in ranges]
        cv2.polylines(canvas, lines, is_closed, TEXT, thickness, cv2.LINE_AA, _BITS)


def draw_brackets(canvas: Canvas, box_xyxy: FloatArray, color: Color, scale: float) -> None:
    """Draw the corners of a box."""
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    length = _BRACKET_FRACTION * min(x2 - x1, y2 - y1)
    corners = [
        [(x1, y1 + length), (x1, y1), (x1 + length, y1)],
        [(x2 - length, y1), (x2, y1), (x2, y1 + length)],
        [(x2, y2 - length), (x2, y2), (x2 - length, y2)],
        [(x1 + length, y2), (x1, y2), (x1, y2 - length)],
    ]
    lines = [np.rint(np.array(one) * (1 << _BITS)).astype(np.int32) for one in corners]
    cv2.polylines(canvas, lines, False, color, max(1, round(1.6 * scale)), cv2.LINE_AA, _BITS)


def blur_face(canvas: Canvas, box_xyxy: FloatArray) -> None:
    """Make a face unrecognizable: of its box, with a margin, a few cells of color are left."""
    x1, y1, x2, y2 = (float(edge) for edge in box_xyxy)
    margin_x, margin_y = _BLUR_MARGIN * (x2 - x1), _BLUR_MARGIN * (y2 - y1)
    left, top = max(0, round(x1 - margin_x)), max(0, round(y1 - margin_y))
    area: Any = canvas[top : max(0, round(y2 + margin_y)), left : max(0, round(x2 + margin_x))]
    if area.size:
        small = cv2.resize(area, (_BLUR_CELLS, _BLUR_CELLS), interpolation=cv2.INTER_AREA)
        size = (area.shape[1], area.shape[0])
        area[:] = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)

"""Panel with the scores of one face: AU bars, expression bars, valence and arousal."""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect

Canvas = NDArray[np.uint8]
"""BGR pixels [H, W, 3] that are drawn on in place."""
Color = tuple[int, int, int]
"""Blue, green, red."""

PANEL_WIDTH_PX: Final = 150  # at scale 1, for an image of 360 lines
PANEL_HEIGHT_PX: Final = 354
WHITE: Final[Color] = (240, 240, 240)
_GRAY: Final[Color] = (185, 185, 185)
_BACKGROUND: Final[Color] = (70, 70, 70)
_ACTIVE: Final[Color] = (60, 190, 255)
_INACTIVE: Final[Color] = (150, 120, 90)
_TOP: Final[Color] = (120, 220, 120)
_PANEL_BRIGHTNESS: Final = 0.22
_ROW_PX: Final = 12.5
_NAME_WIDTH_PX: Final = 62


def draw_score_panel(
    canvas: Canvas, left_px: int, scale: float, affect: Affect, thresholds: tuple[float, ...]
) -> None:
    """Draw the scores of face 0 into a panel; scores that the model does not predict stay empty.

    Args:
        canvas: image, drawn on from its top edge.
        left_px: left edge of the panel.
        scale: size of the panel; 1 is for an image of 360 lines.
        affect: scores of at least one face.
        thresholds: thresholds [12] that the AU bars mark.
    """
    width, height = round(PANEL_WIDTH_PX * scale), round(PANEL_HEIGHT_PX * scale)
    panel = (left_px, 0, left_px + width, max(height, canvas.shape[0]))
    darken(canvas, panel, _PANEL_BRIGHTNESS)
    top = 4.0
    for name, probability, is_active, threshold in zip(
        AU_NAMES, affect.au_probability[0], affect.au_active[0], thresholds, strict=True
    ):
        colors = (_ACTIVE, WHITE) if is_active else (_INACTIVE, _GRAY)
        _draw_bar(canvas, (left_px, top, scale), (name, float(probability), threshold), colors)
        top += _ROW_PX
    top += 5
    top_expression = affect.top_expression()[0]
    for name, probability in zip(EXPRESSION_NAMES, affect.expression_probability[0], strict=True):
        colors = (_TOP, WHITE) if name == top_expression else (_INACTIVE, _GRAY)
        _draw_bar(canvas, (left_px, top, scale), (name, float(probability), None), colors)
        top += _ROW_PX
    position = (left_px, top + 4, scale)
    _draw_va_circle(canvas, position, float(affect.valence[0]), float(affect.arousal[0]))


def put_text(
    canvas: Canvas, text: str, left_bottom: tuple[float, float], scale: float, color: Color = WHITE
) -> None:
    """Draw text of about 9 px height at scale 1; darken the background first."""
    origin = (round(left_bottom[0]), round(left_bottom[1]))
    thickness = max(1, round(scale))
    cv2.putText(
        canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.36 * scale, color, thickness, cv2.LINE_AA
    )


def text_width_px(text: str, scale: float) -> int:
    """Return the width of text as `put_text` draws it."""
    thickness = max(1, round(scale))
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.36 * scale, thickness)[0][0])


def darken(canvas: Canvas, box_xyxy: tuple[int, int, int, int], brightness: float) -> None:
    """Multiply the pixels of a rectangle by `brightness`."""
    x1, y1, x2, y2 = (max(0, edge) for edge in box_xyxy)
    area: Any = canvas[y1:y2, x1:x2]
    if area.size:
        cv2.convertScaleAbs(area, dst=area, alpha=brightness)


def _draw_bar(
    canvas: Canvas,
    position: tuple[int, float, float],
    value: tuple[str, float, float | None],
    colors: tuple[Color, Color],
) -> None:
    """Draw the name, probability and threshold of `value`; colors are those of bar and name."""
    left_px, top, scale = position
    name, probability, threshold = value
    x1, x2 = left_px + round(_NAME_WIDTH_PX * scale), left_px + round((PANEL_WIDTH_PX - 6) * scale)
    y1, y2 = round((top + 2) * scale), round((top + _ROW_PX - 2.5) * scale)
    put_text(canvas, name, (left_px + 5 * scale, (top + _ROW_PX - 3) * scale), scale, colors[1])
    cv2.rectangle(canvas, (x1, y1), (x2, y2), _BACKGROUND, cv2.FILLED)
    if not math.isfinite(probability):
        return
    end = x1 + round((x2 - x1) * min(max(probability, 0.0), 1.0))
    if end > x1:
        cv2.rectangle(canvas, (x1, y1), (end, y2), colors[0], cv2.FILLED)
    if threshold is not None:
        mark = x1 + round((x2 - x1) * threshold)
        margin = round(scale)
        cv2.line(canvas, (mark, y1 - margin), (mark, y2 + margin), WHITE, max(1, margin))


def _draw_va_circle(
    canvas: Canvas, position: tuple[int, float, float], valence: float, arousal: float
) -> None:
    """Draw valence to the right and arousal upwards; the radius is 1."""
    left_px, top, scale = position
    radius = round(40 * scale)
    x, y = left_px + round(50 * scale), round((top + 44) * scale)
    thickness = max(1, round(scale))
    cv2.circle(canvas, (x, y), radius, _GRAY, thickness, cv2.LINE_AA)
    cv2.line(canvas, (x - radius, y), (x + radius, y), _BACKGROUND, thickness)
    cv2.line(canvas, (x, y - radius), (x, y + radius), _BACKGROUND, thickness)
    if not math.isfinite(valence + arousal):
        return
    v, a = (min(max(value, -1.0), 1.0) for value in (valence, arousal))
    dot = (x + round(v * radius), y - round(a * radius))
    cv2.circle(canvas, dot, round(4 * scale), _ACTIVE, cv2.FILLED, cv2.LINE_AA)
    for row, (letter, value) in enumerate((("V", valence), ("A", arousal))):
        left_bottom = (left_px + 98 * scale, (top + 42 + 14 * row) * scale)
        put_text(canvas, f"{letter} {value:+.2f}", left_bottom, scale)

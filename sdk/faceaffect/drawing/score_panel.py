"""The panel beside one face: AU bars, expression bars, and a circle of valence and arousal."""

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

PANEL_WIDTH_PX: Final = 150  # at scale 1, that is for 360 lines
PANEL_HEIGHT_PX: Final = 354
WHITE: Final[Color] = (240, 240, 240)
_DIM: Final[Color] = (185, 185, 185)
_TRACK: Final[Color] = (70, 70, 70)
_ON: Final[Color] = (60, 190, 255)
_OFF: Final[Color] = (150, 120, 90)
_BEST: Final[Color] = (120, 220, 120)
_SHADE: Final = 0.22
_ROW_PX: Final = 12.5
_LABEL_PX: Final = 62


def draw_score_panel(
    canvas: Canvas, left_px: int, scale: float, affect: Affect, thresholds: tuple[float, ...]
) -> None:
    """Draw face 0 of `affect` into a panel at `left_px`, from the top of the canvas; a head that is
    not there stays empty.
    """
    width, height = round(PANEL_WIDTH_PX * scale), round(PANEL_HEIGHT_PX * scale)
    darken(canvas, (left_px, 0, left_px + width, max(height, canvas.shape[0])), _SHADE)
    top = 4.0
    for name, probability, is_on, threshold in zip(
        AU_NAMES, affect.au_probability[0], affect.au_active[0], thresholds, strict=True
    ):
        colors = (_ON, WHITE) if is_on else (_OFF, _DIM)
        _draw_bar(canvas, (left_px, top, scale), (name, float(probability), threshold), colors)
        top += _ROW_PX
    top += 5
    best = affect.top_expression()[0]
    for i, name in enumerate(EXPRESSION_NAMES):
        colors = (_BEST, WHITE) if name == best else (_OFF, _DIM)
        _draw_bar(
            canvas,
            (left_px, top, scale),
            (name, float(affect.expression_probability[0, i]), None),
            colors,
        )
        top += _ROW_PX
    _draw_circle(
        canvas, (left_px, top + 4, scale), float(affect.valence[0]), float(affect.arousal[0])
    )


def put_text(
    canvas: Canvas, text: str, left_bottom: tuple[float, float], scale: float, color: Color = WHITE
) -> None:
    """Text of about 9 px height at scale 1; darken the place first."""
    origin, width = (round(left_bottom[0]), round(left_bottom[1])), max(1, round(scale))
    cv2.putText(
        canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.36 * scale, color, width, cv2.LINE_AA
    )


def text_width_px(text: str, scale: float) -> int:
    return int(
        cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.36 * scale, max(1, round(scale)))[0][0]
    )


def darken(canvas: Canvas, box_xyxy: tuple[int, int, int, int], share: float) -> None:
    """Darken a rectangle to `share` of its light."""
    x1, y1, x2, y2 = (max(0, edge) for edge in box_xyxy)
    area: Any = canvas[y1:y2, x1:x2]
    if area.size:
        cv2.convertScaleAbs(area, dst=area, alpha=share)


def _draw_bar(
    canvas: Canvas,
    place: tuple[int, float, float],
    value: tuple[str, float, float | None],
    colors: tuple[Color, Color],
) -> None:
    left_px, top, scale = place
    name, probability, threshold = value
    x1, x2 = left_px + round(_LABEL_PX * scale), left_px + round((PANEL_WIDTH_PX - 6) * scale)
    y1, y2 = round((top + 2) * scale), round((top + _ROW_PX - 2.5) * scale)
    put_text(canvas, name, (left_px + 5 * scale, (top + _ROW_PX - 3) * scale), scale, colors[1])
    cv2.rectangle(canvas, (x1, y1), (x2, y2), _TRACK, cv2.FILLED)
    if not math.isfinite(probability):
        return
    filled = x1 + round((x2 - x1) * min(max(probability, 0.0), 1.0))
    if filled > x1:
        cv2.rectangle(canvas, (x1, y1), (filled, y2), colors[0], cv2.FILLED)
    if threshold is not None:
        mark = x1 + round((x2 - x1) * threshold)
        cv2.line(
            canvas,
            (mark, y1 - round(scale)),
            (mark, y2 + round(scale)),
            WHITE,
            max(1, round(scale)),
        )


def _draw_circle(
    canvas: Canvas, place: tuple[int, float, float], valence: float, arousal: float
) -> None:
    """Valence to the right, arousal upwards; the rim is 1."""
    left_px, top, scale = place
    radius = round(40 * scale)
    center = (left_px + round(50 * scale), round((top + 44) * scale))
    thin = max(1, round(scale))
    cv2.circle(canvas, center, radius, _DIM, thin, cv2.LINE_AA)
    cv2.line(canvas, (center[0] - radius, center[1]), (center[0] + radius, center[1]), _TRACK, thin)
    cv2.line(canvas, (center[0], center[1] - radius), (center[0], center[1] + radius), _TRACK, thin)
    if not math.isfinite(valence + arousal):
        return
    v, a = (min(max(value, -1.0), 1.0) for value in (valence, arousal))
    dot = (center[0] + round(v * radius), center[1] - round(a * radius))
    cv2.circle(canvas, dot, round(4 * scale), _ON, cv2.FILLED, cv2.LINE_AA)
    for row, (letter, value) in enumerate((("V", valence), ("A", arousal))):
        put_text(
            canvas,
            f"{letter} {value:+.2f}",
            (left_px + 98 * scale, (top + 42 + 14 * row) * scale),
            scale,
        )

"""Panel beside the image with the scores of one face."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.drawing.canvas import (
    DIM_TEXT,
    IDLE,
    SURFACE,
    TEXT,
    TRACK,
    Canvas,
    Color,
    bgr,
    fill,
    paste,
)
from faceaffect.drawing.palette import ACTIVE_COLOR, EXPRESSION_COLORS
from faceaffect.drawing.text import draw_text
from faceaffect.drawing.va_square import Point, draw_va_axes, draw_va_point
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect, Faces

# All at scale 1, for an image of 360 lines.
PANEL_WIDTH_PX: Final = 240
PANEL_HEIGHT_PX: Final = 354
_ROW_PX: Final = 12.5
_TEXT_PX: Final = 8.5
_SMALL_PX: Final = 7.5
_MARGIN_PX: Final = 10
_MEANING_X: Final = 40
_BAR_X: Final = (139, 205)
_BAR_HALF_PX: Final = 3
_VALUE_X: Final = PANEL_WIDTH_PX - _MARGIN_PX
_AU_TOP: Final = 25
_EXPRESSION_TOP: Final = _AU_TOP + len(AU_NAMES) * _ROW_PX + 20
_EXPRESSION_ROWS: Final = 3
_SQUARE_TOP: Final = _EXPRESSION_TOP + _EXPRESSION_ROWS * _ROW_PX + 9
_SQUARE_X: Final = 22
_SQUARE_PX: Final = 95
_FACTS_X: Final = 134
_MINUS: Final = "\N{MINUS SIGN}"
_UNKNOWN: Final = "\N{EN DASH}"
_FACTS: Final = ("valence", "arousal", "yaw", "pitch", "roll", "quality")
_ACTIVE: Final = bgr(ACTIVE_COLOR)


def draw_score_panel(
    canvas: Canvas,
    left_px: int,
    scale: float,
    results: tuple[Faces, Affect],
    thresholds: tuple[float, ...],
    trail: list[Point],
) -> None:
    """Draw the scores of face 0; scores that the model does not predict stay empty.

    Args:
        canvas: Image, drawn on from its top edge.
        left_px: Left edge of the panel.
        scale: Size of the panel; 1 is for an image of 360 lines.
        results: A face or none.
        thresholds: Thresholds [12] that the AU bars mark.
        trail: Times, valences and arousals of the face, this frame last.
    """
    faces, affect = results
    paste(canvas, _empty_panel(scale, thresholds), left_px, 0)
    if not len(faces):
        return
    _draw_aus(canvas, left_px, scale, affect, thresholds)
    _draw_expressions(canvas, left_px, scale, affect)
    left, top, side = left_px + _SQUARE_X * scale, _SQUARE_TOP * scale, _SQUARE_PX * scale
    draw_va_point(canvas, left, top, side, trail)
    _draw_facts(canvas, left_px, scale, faces, affect)


@lru_cache(maxsize=4)
def _empty_panel(scale: float, thresholds: tuple[float, ...]) -> Canvas:
    """Draw what does not change: titles, names, empty bars with thresholds, the V/A square."""
    size = (round(PANEL_HEIGHT_PX * scale), round(PANEL_WIDTH_PX * scale), 3)
    panel = np.full(size, SURFACE, np.uint8)
    title_y = (_AU_TOP - 12) * scale
    _title(panel, "ACTION UNITS", title_y, scale)
    tick_x = (_BAR_X[0] + 2) * scale
    draw_text(panel, "threshold", (tick_x + 5 * scale, title_y), _SMALL_PX * scale, DIM_TEXT)
    _tick(panel, tick_x, title_y, scale)
    for row, (name, threshold) in enumerate(zip(AU_NAMES, thresholds, strict=True)):
        y = (_AU_TOP + (row + 0.5) * _ROW_PX) * scale
        _draw_au_name(panel, 0, name, y, scale, is_active=False)
        _draw_bar(panel, 0, y, scale, 1.0, TRACK)
        _tick(panel, _bar_x(scale, threshold), y, scale)
    _title(panel, "EXPRESSION", (_EXPRESSION_TOP - 8) * scale, scale)
    for row in range(_EXPRESSION_ROWS):
        _draw_bar(panel, 0, (_EXPRESSION_TOP + (row + 0.5) * _ROW_PX) * scale, scale, 1.0, TRACK)
    for row, name in enumerate(_FACTS):
        y = _fact_y(row) * scale
        draw_text(panel, name, (_FACTS_X * scale, y), _TEXT_PX * scale, DIM_TEXT)
    top, side = _SQUARE_TOP * scale, _SQUARE_PX * scale
    draw_va_axes(panel, _SQUARE_X * scale, top, side, _SMALL_PX * scale)
    panel.flags.writeable = False
    return panel


def _draw_aus(
    canvas: Canvas, left: int, scale: float, affect: Affect, thresholds: tuple[float, ...]
) -> None:
    values = affect.au_probability[0].tolist()
    active = affect.au_active[0].tolist()
    for row, name in enumerate(AU_NAMES):
        y = (_AU_TOP + (row + 0.5) * _ROW_PX) * scale
        color = TEXT if active[row] else DIM_TEXT
        if active[row]:
            _draw_au_name(canvas, left, name, y, scale, is_active=True)
        if math.isfinite(values[row]):
            _draw_bar(canvas, left, y, scale, values[row], _ACTIVE if active[row] else IDLE)
            _tick(canvas, left + _bar_x(scale, thresholds[row]), y, scale)
            place = (left + _VALUE_X * scale, y)
            draw_text(canvas, f"{values[row]:.2f}", place, _TEXT_PX * scale, color, anchor=1)


def _draw_expressions(canvas: Canvas, left: int, scale: float, affect: Affect) -> None:
    probability = affect.expression_probability[0]
    if not np.isfinite(probability).all():
        return
    for row, index in enumerate(np.argsort(-probability, kind="stable")[:_EXPRESSION_ROWS]):
        y = (_EXPRESSION_TOP + (row + 0.5) * _ROW_PX) * scale
        color = DIM_TEXT if row else TEXT
        place = (left + _MARGIN_PX * scale, y)
        draw_text(canvas, EXPRESSION_NAMES[index], place, _TEXT_PX * scale, color, bold=not row)
        _draw_bar(canvas, left, y, scale, probability[index], bgr(EXPRESSION_COLORS[index]))
        place = (left + _VALUE_X * scale, y)
        draw_text(canvas, f"{probability[index]:.2f}", place, _TEXT_PX * scale, color, anchor=1)


def _draw_facts(canvas: Canvas, left: int, scale: float, faces: Faces, affect: Affect) -> None:
    yaw, pitch, roll = faces.pose_deg[0].tolist()
    values = (
        signed(float(affect.valence[0])),
        signed(float(affect.arousal[0])),
        *(signed(angle, "°") for angle in (yaw, pitch, roll)),
        f"{faces.quality[0]:.2f}",
    )
    for row, value in enumerate(values):
        place = (left + _VALUE_X * scale, _fact_y(row) * scale)
        draw_text(canvas, value, place, _TEXT_PX * scale, anchor=1)


def _fact_y(row: int) -> float:
    return _SQUARE_TOP + 9 + 15.5 * row


def signed(value: float, unit: str = "") -> str:
    """Return a number with its sign, whole with a unit; a dash if it is unknown."""
    if not math.isfinite(value):
        return _UNKNOWN
    text = f"{value:+.0f}{unit}" if unit else f"{value:+.2f}"
    return text.replace("-", _MINUS)


def _title(canvas: Canvas, text: str, y: float, scale: float) -> None:
    draw_text(canvas, text, (_MARGIN_PX * scale, y), _SMALL_PX * scale, DIM_TEXT, bold=True)


def _draw_au_name(
    canvas: Canvas, left: int, name: str, y: float, scale: float, *, is_active: bool
) -> None:
    color = TEXT if is_active else DIM_TEXT
    size = _TEXT_PX * scale
    draw_text(canvas, name, (left + _MARGIN_PX * scale, y), size, color, bold=True)
    place = (left + _MEANING_X * scale, y)
    draw_text(canvas, AU_MEANINGS[name], place, _SMALL_PX * scale, color)


def _bar_x(scale: float, value: float) -> float:
    return (_BAR_X[0] + min(max(value, 0.0), 1.0) * (_BAR_X[1] - _BAR_X[0])) * scale


def _draw_bar(
    canvas: Canvas, left: int, y: float, scale: float, value: float, color: Color
) -> None:
    half = _BAR_HALF_PX * scale
    end = _bar_x(scale, value)
    fill(canvas, left + _BAR_X[0] * scale, y - half, left + end, y + half, color)


def _tick(canvas: Canvas, x: float, y: float, scale: float) -> None:
    """Mark a threshold."""
    width = max(1, round(scale))
    half = (_BAR_HALF_PX + 1.5) * scale
    fill(canvas, round(x), y - half, round(x) + width, y + half, TEXT)

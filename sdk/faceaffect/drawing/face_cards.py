"""Cards beside the image with the scores of several faces."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.drawing.canvas import DIM_TEXT, IDLE, SURFACE, TEXT, TRACK, Canvas, bgr, fill, paste
from faceaffect.drawing.palette import ACTIVE_COLOR, EXPRESSION_COLORS, TRACK_COLORS
from faceaffect.drawing.score_panel import PANEL_WIDTH_PX, signed
from faceaffect.drawing.text import draw_text, text_width_px
from faceaffect.labels import AU_MEANINGS, AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect, Faces

# All at scale 1, for an image of 360 lines.
CARD_HEIGHT_PX: Final = 86
_MIN_SHRINK: Final = 0.75  # cards become smaller, down to this, where more of them fit then
_MARGIN_PX: Final = 10
_RIGHT_PX: Final = PANEL_WIDTH_PX - _MARGIN_PX
_TEXT_PX: Final = 8.5
_SMALL_PX: Final = 7.5
_FIRST_Y: Final = 13
_BAR_TOP: Final = 22
_BAR_HEIGHT_PX: Final = 24
_NAMES_Y: Final = 65
_LAST_Y: Final = 77
_STEP_PX: Final = (PANEL_WIDTH_PX - 2 * _MARGIN_PX) / len(AU_NAMES)
_GAP_PX: Final = 4
_MORE_PX: Final = 14
_ACTIVE: Final = bgr(ACTIVE_COLOR)

Corner = tuple[float, float]


def draw_face_cards(
    canvas: Canvas,
    left_px: int,
    scale: float,
    results: tuple[Faces, Affect],
    thresholds: tuple[float, ...],
) -> None:
    """Draw a card for each of the largest faces, ordered by their numbers.

    Args:
        canvas: Image, drawn on from its top edge to its bottom.
        left_px: Left edge of the cards.
        scale: Size of the cards; 1 is for an image of 360 lines.
        results: Faces.
        thresholds: Thresholds [12] that the bars mark.
    """
    faces, affect = results
    all_px = CARD_HEIGHT_PX * len(faces)
    scale = max(min(scale, canvas.shape[0] / all_px), _MIN_SHRINK * scale)
    room = canvas.shape[0] / scale
    is_all = room >= all_px - 1e-6
    fitting = len(faces) if is_all else int((room - _MORE_PX) // CARD_HEIGHT_PX)
    width_px = faces.box_xyxy[:, 2] - faces.box_xyxy[:, 0]
    height, width = canvas.shape[:2]
    fill(canvas, left_px + PANEL_WIDTH_PX * scale, 0, width, height, SURFACE)
    below = fitting * CARD_HEIGHT_PX * scale
    fill(canvas, left_px, below, width, height, SURFACE)
    shown = np.argsort(-width_px, kind="stable")[:fitting].tolist()
    for row, i in enumerate(sorted(shown, key=lambda i: int(faces.track_id[i]))):
        corner = (left_px, round(row * CARD_HEIGHT_PX * scale))
        paste(canvas, _empty_card(scale, thresholds), *corner)
        _draw_bars(canvas, corner, scale, affect, i, thresholds)
        _draw_texts(canvas, corner, scale, faces, affect, i)
    if not is_all:
        place = (left_px + _MARGIN_PX * scale, (len(shown) * CARD_HEIGHT_PX + 8) * scale)
        draw_text(canvas, f"and {len(faces) - len(shown)} more", place, _TEXT_PX * scale, DIM_TEXT)


@lru_cache(maxsize=16)
def _empty_card(scale: float, thresholds: tuple[float, ...]) -> Canvas:
    """Draw what does not change: bars with thresholds, numbers, names of the values."""
    size = (math.ceil(CARD_HEIGHT_PX * scale), round(PANEL_WIDTH_PX * scale), 3)
    card = np.full(size, SURFACE, np.uint8)
    for k in range(len(AU_NAMES)):
        _draw_bar(card, (0, 0), scale, k, 1.0, TRACK)
        _tick(card, (0, 0), scale, k, thresholds[k])
        _draw_number(card, (0, 0), scale, k, is_active=False)
    for text, x in (("valence", _MARGIN_PX), ("arousal", 76), ("quality", 174)):
        draw_text(card, text, (x * scale, _LAST_Y * scale), _SMALL_PX * scale, DIM_TEXT)
    card.flags.writeable = False
    return card


def _draw_bars(
    canvas: Canvas,
    corner: Corner,
    scale: float,
    affect: Affect,
    i: int,
    thresholds: tuple[float, ...],
) -> None:
    values, active = affect.au_probability[i].tolist(), affect.au_active[i].tolist()
    for k, value in enumerate(values):
        if not math.isfinite(value):
            continue
        _draw_bar(canvas, corner, scale, k, value, _ACTIVE if active[k] else IDLE)
        _tick(canvas, corner, scale, k, thresholds[k])
        if active[k]:
            _draw_number(canvas, corner, scale, k, is_active=True)


def _draw_texts(
    canvas: Canvas, corner: Corner, scale: float, faces: Faces, affect: Affect, i: int
) -> None:
    left, right = corner[0] + _MARGIN_PX * scale, corner[0] + _RIGHT_PX * scale
    y = corner[1] + _FIRST_Y * scale
    size, small = _TEXT_PX * scale, _SMALL_PX * scale
    color = bgr(TRACK_COLORS[int(faces.track_id[i]) % len(TRACK_COLORS)])
    draw_text(canvas, f"Face {int(faces.track_id[i])}", (left, y), size, color, bold=True)
    if name := affect.top_expression()[i]:
        index = EXPRESSION_NAMES.index(name)
        shade = bgr(EXPRESSION_COLORS[index])
        percent = f"{affect.expression_probability[i, index]:.0%}"
        draw_text(canvas, percent, (right, y), size, shade, bold=True, anchor=1)
        place = (right - text_width_px(f"{percent} ", size, bold=True), y)
        draw_text(canvas, name, place, size, shade, bold=True, anchor=1)
    _draw_names(canvas, left, right, corner[1] + _NAMES_Y * scale, small, affect.au_active[i])
    y = corner[1] + _LAST_Y * scale
    for value, x in (
        (signed(float(affect.valence[i])), 43),
        (signed(float(affect.arousal[i])), 109),
        (f"{faces.quality[i]:.2f}", 208),
    ):
        draw_text(canvas, value, (corner[0] + x * scale, y), small)


def _draw_names(
    canvas: Canvas, left: float, right: float, y: float, size: float, active: np.ndarray
) -> None:
    """Draw the names of the active AUs as far as there is room for whole names."""
    names = [AU_MEANINGS[name] for name, is_on in zip(AU_NAMES, active, strict=True) if is_on]
    more = text_width_px(" …", size)
    for k, name in enumerate(names):
        text = f", {name}" if k else name
        width = text_width_px(text, size)
        if left + width + (more if k + 1 < len(names) else 0) > right:
            draw_text(canvas, " …", (left, y), size)
            return
        draw_text(canvas, text, (left, y), size)
        left += width


def _draw_bar(
    canvas: Canvas,
    corner: Corner,
    scale: float,
    k: int,
    value: float,
    color: tuple[int, int, int],
) -> None:
    left = corner[0] + (_MARGIN_PX + k * _STEP_PX) * scale
    bottom = corner[1] + (_BAR_TOP + _BAR_HEIGHT_PX) * scale
    top = bottom - min(max(value, 0.0), 1.0) * _BAR_HEIGHT_PX * scale
    fill(canvas, left, top, left + (_STEP_PX - _GAP_PX) * scale, bottom, color)


def _tick(canvas: Canvas, corner: Corner, scale: float, k: int, threshold: float) -> None:
    """Mark a threshold."""
    left = corner[0] + (_MARGIN_PX - 1 + k * _STEP_PX) * scale
    y = round(corner[1] + (_BAR_TOP + (1 - threshold) * _BAR_HEIGHT_PX) * scale)
    right = left + (_STEP_PX - _GAP_PX + 2) * scale
    fill(canvas, left, y, right, y + max(1, round(0.7 * scale)), TEXT)


def _draw_number(canvas: Canvas, corner: Corner, scale: float, k: int, *, is_active: bool) -> None:
    middle = corner[0] + (_MARGIN_PX + k * _STEP_PX + (_STEP_PX - _GAP_PX) / 2) * scale
    y = corner[1] + (_BAR_TOP + _BAR_HEIGHT_PX + 7) * scale
    color = TEXT if is_active else DIM_TEXT
    name, size = AU_NAMES[k][2:], _SMALL_PX * scale
    draw_text(canvas, name, (middle, y), size, color, bold=is_active, anchor=0.5)

"""Text drawn by Pillow with a font of the package, so that it looks the same everywhere."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from faceaffect.drawing.canvas import SURFACE, TEXT, Canvas, Color, paste

_FONTS: Final = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}
_FOLDER: Final = Path(__file__).with_name("fonts")
_CACHED_TEXTS: Final = 4096


@cache
def _font(size_px: int, bold: bool) -> Any:
    return ImageFont.truetype(
        str(_FOLDER / _FONTS[bold]), size_px, layout_engine=ImageFont.Layout.BASIC
    )


@lru_cache(maxsize=_CACHED_TEXTS)
def text_width_px(text: str, size_px: float, *, bold: bool = False) -> int:
    """Return the width of a text."""
    return int(np.ceil(_font(max(1, round(size_px)), bold).getlength(text)))


@lru_cache(maxsize=_CACHED_TEXTS)
def text_image(
    text: str,
    size_px: int,
    color: Color = TEXT,
    background: Color = SURFACE,
    bold: bool = False,
) -> Canvas:
    """Return a text on an opaque ground [H, W, 3]; texts of one size have one height."""
    font = _font(size_px, bold)
    ascent, descent = font.getmetrics()
    size = (max(1, text_width_px(text, size_px, bold=bold)), ascent + descent)
    image = Image.new("RGB", size, background[::-1])
    ImageDraw.Draw(image).text((0, ascent), text, font=font, fill=color[::-1], anchor="ls")
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
    pixels.flags.writeable = False
    return pixels


def draw_text(
    canvas: Canvas,
    text: str,
    left_middle: tuple[float, float],
    size_px: float,
    color: Color = TEXT,
    *,
    background: Color = SURFACE,
    bold: bool = False,
    anchor: float = 0.0,
) -> None:
    """Draw a text on its ground.

    Args:
        canvas: Drawn on.
        text: One line.
        left_middle: Left edge and middle of the line.
        size_px: Height of the letters with their space.
        color: Of the letters.
        background: Of the ground.
        bold: Whether the letters are bold.
        anchor: 1 for the right edge in place of the left one, 0.5 for the center.
    """
    image = text_image(text, max(1, round(size_px)), color, background, bold)
    height, width = image.shape[:2]
    paste(canvas, image, left_middle[0] - anchor * width, left_middle[1] - height / 2)

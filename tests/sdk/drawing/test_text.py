"""Text of the overlay."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont

from faceaffect.drawing import text as text_module
from faceaffect.drawing.canvas import SURFACE
from faceaffect.drawing.face_cards import _draw_names
from faceaffect.drawing.text import draw_text, text_image, text_width_px
from faceaffect.labels import AU_MEANINGS, EXPRESSION_NAMES


def test_font_has_every_letter_of_the_overlay() -> None:
    letters = set("".join([*AU_MEANINGS, *AU_MEANINGS.values(), *EXPRESSION_NAMES]))
    letters |= set("0123456789.+·…→°% FaceGgü,\N{MINUS SIGN}\N{EN DASH}")
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"):
        font = ImageFont.truetype(str(text_module._FOLDER / name), 20)
        missing = font.getmask("\uffff")
        shapes = {letter: bytes(font.getmask(letter)) for letter in letters - {" "}}
        assert [letter for letter, shape in shapes.items() if shape == bytes(missing)] == []


def test_text_images_of_one_size_have_one_height_and_equal_digits() -> None:
    assert text_image("a", 12).shape[0] == text_image("Ágj", 12).shape[0]
    assert len({text_width_px(f"{digit}.{digit}", 12) for digit in range(10)}) == 1
    assert not text_image("a", 12).flags.writeable


@pytest.mark.parametrize(("anchor", "left"), [(0.0, 50), (1.0, 10), (0.5, 30)])
def test_draw_text_is_anchored(anchor: float, left: int) -> None:
    canvas = np.zeros((40, 120, 3), np.uint8)
    draw_text(canvas, "happiness", (50, 20), 9, anchor=anchor)
    x = np.flatnonzero((canvas == SURFACE).all(axis=2).any(axis=0))
    width = text_width_px("happiness", 9)
    assert x.min() == pytest.approx(50 - anchor * width, abs=1.5)
    assert abs(x.min() - left) < 12


def test_names_that_do_not_fit_are_left_out_whole() -> None:
    canvas = np.zeros((40, 600, 3), np.uint8)
    _draw_names(canvas, 0, 300, 20, 12, np.ones(12, bool))
    used = np.flatnonzero(canvas.any(axis=(0, 2)))
    assert used.max() < 300

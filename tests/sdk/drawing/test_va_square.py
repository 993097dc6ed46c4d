"""The plane of valence and arousal of the overlay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceaffect.drawing.canvas import bgr
from faceaffect.drawing.palette import ACTIVE_COLOR
from faceaffect.drawing.va_square import TrailMemory, draw_va_point

LEFT, TOP, SIDE = 40, 30, 100


def drawn_box(valence: float, arousal: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is drawn."""
    canvas = np.zeros((200, 200, 3), np.uint8)
    draw_va_point(canvas, LEFT, TOP, SIDE, [(0.0, -1.0, 1.0), (0.1, valence, arousal)])
    y, x = np.nonzero(canvas.any(axis=2))
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


@pytest.mark.parametrize(
    ("valence", "arousal"), [(0.9, 0.6), (1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (1.7, -3.0)]
)
def test_va_point_and_trail_stay_inside_the_square(valence: float, arousal: float) -> None:
    x1, y1, x2, y2 = drawn_box(valence, arousal)
    assert x1 >= LEFT - 1
    assert x2 <= LEFT + SIDE + 1
    assert y1 >= TOP - 1
    assert y2 <= TOP + SIDE + 1


def test_va_point_is_right_for_pleasant_and_up_for_excited() -> None:
    canvas = np.zeros((200, 200, 3), np.uint8)
    draw_va_point(canvas, LEFT, TOP, SIDE, [(0.0, 0.5, 0.25)])
    y, x = np.nonzero((canvas == bgr(ACTIVE_COLOR)).all(axis=2))
    radius = 0.045 * SIDE
    assert x.mean() == pytest.approx(LEFT + SIDE / 2 + 0.5 * (SIDE / 2 - radius), abs=0.7)
    assert y.mean() == pytest.approx(TOP + SIDE / 2 - 0.25 * (SIDE / 2 - radius), abs=0.7)


def test_va_point_that_is_unknown_is_not_drawn() -> None:
    canvas = np.zeros((200, 200, 3), np.uint8)
    draw_va_point(canvas, LEFT, TOP, SIDE, [(0.0, 0.5, 0.5), (0.1, math.nan, math.nan)])
    assert not canvas.any()


def test_trail_memory_keeps_two_seconds_of_each_face() -> None:
    memory = TrailMemory()
    for index in range(100):
        trail = memory.add(1, index / 25, 0.0, 0.0)
    assert [trail[0][0], trail[-1][0]] == pytest.approx([99 / 25 - 2, 99 / 25])
    assert len(memory.add(2, 4.0, 0.5, 0.5)) == 1
    memory.forget_others([2])
    assert len(memory.add(1, 4.0, 0.0, 0.0)) == 1
    assert len(memory.add(2, 1.0, 0.0, 0.0)) == 1  # another source

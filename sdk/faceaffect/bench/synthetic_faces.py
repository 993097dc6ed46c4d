"""A face drawn from ellipses: nobody's image, yet the detector finds it and the network reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.float32]
Color = tuple[float, float, float]

_DRAWN_PX: Final = 128  # one side of the drawing; it is scaled to what is asked for
_HAIRS: Final[tuple[Color, ...]] = ((28, 38, 52), (20, 22, 26), (60, 95, 140), (35, 60, 110))  # BGR
_SKINS: Final[tuple[Color, ...]] = (
    (150, 175, 215),
    (110, 140, 190),
    (165, 190, 226),
    (85, 115, 165),
)
_SHIRTS: Final[tuple[Color, ...]] = ((90, 60, 50), (60, 90, 60), (55, 60, 120), (110, 110, 105))


@dataclass(frozen=True, slots=True)
class SyntheticExpression:
    """What a drawn face does, each from 0 to 1."""

    smile: float
    mouth_open: float
    eyes_shut: float

    @classmethod
    def at(cls, turn: float) -> SyntheticExpression:
        """In one turn (0 to 1, then again): a smile that comes and goes, two words, a blink."""
        smile = 0.5 - 0.5 * math.cos(2 * math.pi * turn)
        talk = 0.35 * abs(math.sin(2 * math.pi * turn))
        return cls(smile, talk, max(0.0, 1 - abs(turn % 1 - 0.8) / 0.05))


class _Drawing:
    """A BGR image with its own coordinates: x to the right, y down, both -1 to 1."""

    def __init__(self) -> None:
        axis = (np.arange(_DRAWN_PX, dtype=np.float32) + 0.5) * (2 / _DRAWN_PX) - 1
        self.x, self.y = axis[None, :], axis[:, None]
        self.image = np.zeros((_DRAWN_PX, _DRAWN_PX, 3), np.float32)
        self.cover = np.zeros((_DRAWN_PX, _DRAWN_PX), np.float32)

    def paint(self, mask: Mask, color: Color | Mask) -> None:
        """Lay `color` over the image where `mask` is 1."""
        self.image += (np.asarray(color, np.float32) - self.image) * mask[..., None]
        self.cover += (1 - self.cover) * mask

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, soft: float = 0.03
    ) -> Mask:
        """1 inside, 0 outside, over an edge of width `soft`."""
        radius = np.sqrt(((self.x - x) / half_width) ** 2 + ((self.y - y) / half_height) ** 2)
        return soft_edge(np.asarray((radius - 1) * min(half_width, half_height), np.float32), soft)

    def stroke(
        self,
        x: float,
        middle: Mask,
        half_width: float,
        half_height: float | Mask,
        soft: float = 0.025,
    ) -> Mask:
        """A stroke around the curve `middle` [1, W], from `x - half_width` to `x + half_width`."""
        outside = np.maximum(np.abs(self.y - middle) - half_height, np.abs(self.x - x) - half_width)
        return soft_edge(np.asarray(outside, np.float32), soft)


def soft_edge(distance: Mask, soft: float) -> Mask:
    return np.asarray(np.clip(0.5 - distance / soft, 0, 1), np.float32)


def draw_face(person: int, expression: SyntheticExpression, side_px: int) -> tuple[Image, Mask]:
    """Head and shoulders as BGR [S, S, 3] on black, and how far they cover what is behind [S, S];
    four persons differ.

    Laid over a background: `background * (1 - cover) + image`.
    """
    drawing = _Drawing()
    hair, skin = _HAIRS[person % len(_HAIRS)], np.asarray(_SKINS[person % len(_SKINS)], np.float32)
    drawing.paint(drawing.ellipse(0, 1.25, 0.85, 0.5), _SHIRTS[person % len(_SHIRTS)])
    drawing.paint(drawing.ellipse(0, 0.8, 0.25, 0.4), _tint(skin, 0.8))
    drawing.paint(drawing.ellipse(0, -0.15, 0.62, 0.75), hair)
    dome = np.sqrt(np.clip(1 - (drawing.x / 0.55) ** 2 - ((drawing.y - 0.05) / 0.75) ** 2, 0, 1))
    shade = np.clip(0.75 + 0.3 * dome - 0.06 * drawing.y, 0, 1.12)
    drawing.paint(drawing.ellipse(0, 0.05, 0.5, 0.68), skin * shade[..., None])
    drawing.paint(drawing.ellipse(0, -0.66, 0.42, 0.22, 0.06), hair)
    for side in (-1, 1):
        _draw_eye(drawing, 0.2 * side, skin, hair, expression.eyes_shut)
    _draw_nose(drawing, skin)
    _draw_mouth(drawing, expression)
    drawing.paint(0.3 * drawing.ellipse(0, 0.57, 0.1, 0.025, 0.06), _tint(skin, 0.6))
    size = (side_px, side_px)
    interpolation = cv2.INTER_AREA if side_px < _DRAWN_PX else cv2.INTER_LINEAR
    image = cv2.resize(np.clip(drawing.image, 0, 255), size, interpolation=interpolation)
    cover = cv2.resize(drawing.cover, size, interpolation=interpolation)
    return np.rint(image).astype(np.uint8), np.asarray(cover, np.float32)


def _tint(skin: Mask, factor: float) -> Mask:
    return np.asarray(np.minimum(skin * factor, 255), np.float32)


def _draw_eye(drawing: _Drawing, x: float, skin: Mask, hair: Color, shut: float) -> None:
    wide = 1 - shut
    drawing.paint(0.35 * drawing.ellipse(x, -0.1, 0.15, 0.1, 0.12), _tint(skin, 0.45))
    drawing.paint(drawing.ellipse(x, -0.09, 0.1, 0.045 * wide + 0.005, 0.02), (215, 222, 226))
    drawing.paint(drawing.ellipse(x, -0.09, 0.043, 0.043 * wide + 0.004, 0.02), (45, 50, 60))
    drawing.paint(drawing.ellipse(x, -0.09, 0.018, 0.018 * wide + 0.002, 0.01), (10, 10, 10))
    drawing.paint(0.8 * drawing.ellipse(x, -0.135, 0.11, 0.018, 0.02), (50, 55, 70))
    brow = -0.26 + 0.6 * (drawing.x - x) ** 2
    drawing.paint(0.85 * drawing.stroke(x, brow, 0.13, 0.025, 0.03), hair)
    drawing.paint(0.25 * drawing.ellipse(1.5 * x, 0.22, 0.13, 0.12, 0.15), (130, 140, 225))


def _draw_nose(drawing: _Drawing, skin: Mask) -> None:
    drawing.paint(0.25 * drawing.ellipse(0.06, 0.08, 0.035, 0.2, 0.08), _tint(skin, 0.5))
    drawing.paint(0.35 * drawing.ellipse(-0.02, 0.06, 0.025, 0.2, 0.06), _tint(skin, 1.25))
    drawing.paint(0.5 * drawing.ellipse(0, 0.235, 0.11, 0.03, 0.05), _tint(skin, 0.55))
    for x in (-0.05, 0.05):
        drawing.paint(0.8 * drawing.ellipse(x, 0.22, 0.025, 0.014), (40, 45, 70))


def _draw_mouth(drawing: _Drawing, expression: SyntheticExpression) -> None:
    middle = 0.45 - 0.125 * expression.smile * (drawing.x / 0.2) ** 2
    taper = np.sqrt(np.clip(1 - (drawing.x / 0.21) ** 2, 0, 1))
    opened = expression.mouth_open
    drawing.paint(
        drawing.stroke(0, middle - 0.02 - 0.02 * opened, 0.2, 0.028 * taper), (85, 85, 170)
    )
    drawing.paint(
        drawing.stroke(0, middle + 0.03 + 0.1 * opened, 0.2, 0.035 * taper), (95, 95, 185)
    )
    gap = (0.008 + 0.045 * opened) * taper
    drawing.paint(drawing.stroke(0, middle + 0.005 + 0.03 * opened, 0.19, gap, 0.02), (30, 25, 50))

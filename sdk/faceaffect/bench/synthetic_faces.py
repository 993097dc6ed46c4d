"""Faces drawn from ellipses, which detectors and networks accept as real ones."""

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

_CANVAS_PX: Final = 128  # side of the canvas, which is scaled to the requested size
_HAIR_COLORS: Final[tuple[Color, ...]] = (
    (28, 38, 52),
    (20, 22, 26),
    (60, 95, 140),
    (35, 60, 110),
)  # BGR
_SKIN_COLORS: Final[tuple[Color, ...]] = (
    (150, 175, 215),
    (110, 140, 190),
    (165, 190, 226),
    (85, 115, 165),
)
_SHIRT_COLORS: Final[tuple[Color, ...]] = (
    (90, 60, 50),
    (60, 90, 60),
    (55, 60, 120),
    (110, 110, 105),
)


@dataclass(frozen=True, slots=True)
class SyntheticExpression:
    """Expression of a synthetic face; all values from 0 to 1."""

    smile: float
    mouth_open: float
    eyes_closed: float

    @classmethod
    def at(cls, phase: float) -> SyntheticExpression:
        """Return the expression at a phase of period 1: a smile, two words and a blink."""
        smile = 0.5 - 0.5 * math.cos(2 * math.pi * phase)
        talk = 0.35 * abs(math.sin(2 * math.pi * phase))
        return cls(smile, talk, max(0.0, 1 - abs(phase % 1 - 0.8) / 0.05))


class _Canvas:
    """BGR image and alpha mask with coordinates from -1 to 1: x to the right, y down."""

    def __init__(self) -> None:
        axis = (np.arange(_CANVAS_PX, dtype=np.float32) + 0.5) * (2 / _CANVAS_PX) - 1
        self.x, self.y = axis[None, :], axis[:, None]
        self.image = np.zeros((_CANVAS_PX, _CANVAS_PX, 3), np.float32)
        self.alpha = np.zeros((_CANVAS_PX, _CANVAS_PX), np.float32)

    def paint(self, mask: Mask, color: Color | Mask) -> None:
        """Blend `color` over the image, weighted by `mask`."""
        self.image += (np.asarray(color, np.float32) - self.image) * mask[..., None]
        self.alpha += (1 - self.alpha) * mask

    def ellipse(
        self, x: float, y: float, half_width: float, half_height: float, edge_width: float = 0.03
    ) -> Mask:
        """Return a mask that is 1 inside and 0 outside, over an edge of width `edge_width`."""
        radius = np.sqrt(((self.x - x) / half_width) ** 2 + ((self.y - y) / half_height) ** 2)
        return soft_edge(
            np.asarray((radius - 1) * min(half_width, half_height), np.float32), edge_width
        )

    def stroke(
        self,
        x: float,
        middle: Mask,
        half_width: float,
        half_height: float | Mask,
        edge_width: float = 0.025,
    ) -> Mask:
        """Return the mask of a stroke around a curve.

        Args:
            x: Middle of the stroke.
            middle: y of the curve [1, W].
            half_width: The stroke extends from `x - half_width` to `x + half_width`.
            half_height: Half the thickness, constant or [1, W].
            edge_width: Width of the soft edge.
        """
        outside = np.maximum(np.abs(self.y - middle) - half_height, np.abs(self.x - x) - half_width)
        return soft_edge(np.asarray(outside, np.float32), edge_width)


def soft_edge(distance: Mask, edge_width: float) -> Mask:
    """Return 1 for negative and 0 for positive distances, with a linear ramp of `edge_width`."""
    return np.asarray(np.clip(0.5 - distance / edge_width, 0, 1), np.float32)


def draw_face(person: int, expression: SyntheticExpression, side_px: int) -> tuple[Image, Mask]:
    """Draw head and shoulders.

    Args:
        person: Identity; there are four, then they repeat.
        expression: Expression of the face.
        side_px: Side of the image.

    Returns:
        Premultiplied BGR [S, S, 3] and alpha [S, S]: composite them over a background with
        `background * (1 - alpha) + image`.
    """
    canvas = _Canvas()
    hair = _HAIR_COLORS[person % len(_HAIR_COLORS)]
    skin = np.asarray(_SKIN_COLORS[person % len(_SKIN_COLORS)], np.float32)
    canvas.paint(canvas.ellipse(0, 1.25, 0.85, 0.5), _SHIRT_COLORS[person % len(_SHIRT_COLORS)])
    canvas.paint(canvas.ellipse(0, 0.8, 0.25, 0.4), _tint(skin, 0.8))
    canvas.paint(canvas.ellipse(0, -0.15, 0.62, 0.75), hair)
    dome = np.sqrt(np.clip(1 - (canvas.x / 0.55) ** 2 - ((canvas.y - 0.05) / 0.75) ** 2, 0, 1))
    shade = np.clip(0.75 + 0.3 * dome - 0.06 * canvas.y, 0, 1.12)
    canvas.paint(canvas.ellipse(0, 0.05, 0.5, 0.68), skin * shade[..., None])
    canvas.paint(canvas.ellipse(0, -0.66, 0.42, 0.22, 0.06), hair)
    for side in (-1, 1):
        _draw_eye(canvas, 0.2 * side, skin, hair, expression.eyes_closed)
    _draw_nose(canvas, skin)
    _draw_mouth(canvas, expression)
    canvas.paint(0.3 * canvas.ellipse(0, 0.57, 0.1, 0.025, 0.06), _tint(skin, 0.6))
    size = (side_px, side_px)
    interpolation = cv2.INTER_AREA if side_px < _CANVAS_PX else cv2.INTER_LINEAR
    image = cv2.resize(np.clip(canvas.image, 0, 255), size, interpolation=interpolation)
    alpha = cv2.resize(canvas.alpha, size, interpolation=interpolation)
    return np.rint(image).astype(np.uint8), np.asarray(alpha, np.float32)


def _tint(skin: Mask, factor: float) -> Mask:
    return np.asarray(np.minimum(skin * factor, 255), np.float32)


def _draw_eye(canvas: _Canvas, x: float, skin: Mask, hair: Color, closed: float) -> None:
    opening = 1 - closed
    canvas.paint(0.35 * canvas.ellipse(x, -0.1, 0.15, 0.1, 0.12), _tint(skin, 0.45))
    canvas.paint(canvas.ellipse(x, -0.09, 0.1, 0.045 * opening + 0.005, 0.02), (215, 222, 226))
    canvas.paint(canvas.ellipse(x, -0.09, 0.043, 0.043 * opening + 0.004, 0.02), (45, 50, 60))
    canvas.paint(canvas.ellipse(x, -0.09, 0.018, 0.018 * opening + 0.002, 0.01), (10, 10, 10))
    canvas.paint(0.8 * canvas.ellipse(x, -0.135, 0.11, 0.018, 0.02), (50, 55, 70))
    brow = -0.26 + 0.6 * (canvas.x - x) ** 2
    canvas.paint(0.85 * canvas.stroke(x, brow, 0.13, 0.025, 0.03), hair)
    canvas.paint(0.25 * canvas.ellipse(1.5 * x, 0.22, 0.13, 0.12, 0.15), (130, 140, 225))


def _draw_nose(canvas: _Canvas, skin: Mask) -> None:
    canvas.paint(0.25 * canvas.ellipse(0.06, 0.08, 0.035, 0.2, 0.08), _tint(skin, 0.5))
    canvas.paint(0.35 * canvas.ellipse(-0.02, 0.06, 0.025, 0.2, 0.06), _tint(skin, 1.25))
    canvas.paint(0.5 * canvas.ellipse(0, 0.235, 0.11, 0.03, 0.05), _tint(skin, 0.55))
    for x in (-0.05, 0.05):
        canvas.paint(0.8 * canvas.ellipse(x, 0.22, 0.025, 0.014), (40, 45, 70))


def _draw_mouth(canvas: _Canvas, expression: SyntheticExpression) -> None:
    middle = 0.45 - 0.125 * expression.smile * (canvas.x / 0.2) ** 2
    taper = np.sqrt(np.clip(1 - (canvas.x / 0.21) ** 2, 0, 1))
    opening = expression.mouth_open
    canvas.paint(
        canvas.stroke(0, middle - 0.02 - 0.02 * opening, 0.2, 0.028 * taper), (85, 85, 170)
    )
    canvas.paint(canvas.stroke(0, middle + 0.03 + 0.1 * opening, 0.2, 0.035 * taper), (95, 95, 185))
    gap = (0.008 + 0.045 * opening) * taper
    canvas.paint(canvas.stroke(0, middle + 0.005 + 0.03 * opening, 0.19, gap, 0.02), (30, 25, 50))

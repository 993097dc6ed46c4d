"""Fills the gap between lips that an action parts: a dark cavity, with or without teeth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from training.real_skin.array import Array

_LEAST_GAP_DM: Final = 0.012
_TEETH_DM: Final = 0.03  # how far the upper teeth reach below the resting upper lip
_LEAST_TEETH_DM: Final = 0.035  # and at least below the raised one
_UPPER_LIP: Final = slice(1, 4)  # of the outline
_DARK: Final = np.array([0.30, 0.17, 0.17], np.float32)
_DARK_GRAY: Final = np.full(3, 0.2, np.float32)
_OUTLINE_POINTS: Final = 64
_SUBPIXEL_BITS: Final = 4


@dataclass(frozen=True, slots=True)
class MouthLook:
    """Look of the mouth's inside: brightness of the teeth relative to skin; 0 shows none."""

    teeth: float = 0.9
    cavity: float = 1.0  # factor of the dark tone

    @staticmethod
    def draw(rng: np.random.Generator) -> MouthLook:
        """Draws a look; three in ten show no teeth."""
        teeth = 0.0 if rng.random() < 0.3 else float(rng.uniform(0.7, 1.1))
        return MouthLook(teeth, float(rng.uniform(0.6, 1.6)))


@dataclass(frozen=True, slots=True)
class LipGap:
    """Inner lips in pixels (y down)."""

    outline: Array  # [8, 2] of the image: right corner, upper lip, left corner, lower lip
    rest_upper_y: float  # height of the resting upper lip's inner edge
    opened_px: float  # growth of the gap over the resting one
    px_per_dm: float


def fill_mouth(
    image: Array, gap: LipGap, skin_tone: Array, look: MouthLook, *, is_gray: bool
) -> Array:
    """Returns the RGB image [S, S, 3] in 0..1 with the gap filled where lips have parted."""
    if gap.opened_px < _LEAST_GAP_DM * gap.px_per_dm:
        return image
    closed = np.concatenate([gap.outline, gap.outline[:1]]).astype(np.float32)
    dense = cv2.resize(closed[:, None], (1, _OUTLINE_POINTS), interpolation=cv2.INTER_LINEAR)
    points = np.rint(dense[:, 0] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    mask: Array = np.zeros(image.shape[:2], np.float32)
    cv2.fillPoly(mask, [points], 1.0, cv2.LINE_AA, _SUBPIXEL_BITS)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.7)[..., None]
    dark = skin_tone * (_DARK_GRAY if is_gray else _DARK) * look.cavity
    inside = np.broadcast_to(dark.astype(np.float32), image.shape).copy()
    if look.teeth > 0:
        inside += _teeth_share(image.shape[0], gap)[..., None] * (_tooth(skin_tone, look) - inside)
    return np.asarray(image * (1 - mask) + inside * mask, np.float32)


def _tooth(skin_tone: Array, look: MouthLook) -> Array:
    level = float(skin_tone.max())
    return np.asarray(np.clip(np.full(3, level) * look.teeth, 0, 1), np.float32)


def _teeth_share(size_px: int, gap: LipGap) -> Array:
    """Returns the share [S, S] of teeth: above their edge, darker towards the corners."""
    rows = np.arange(size_px, dtype=np.float32)[:, None]
    columns = np.arange(size_px, dtype=np.float32)[None]
    middle = gap.outline[:, 0].mean()
    half = max(float(np.ptp(gap.outline[:, 0])) / 2, 1.0)
    lip = float(gap.outline[_UPPER_LIP, 1].mean())
    edge = max(gap.rest_upper_y + _TEETH_DM * gap.px_per_dm, lip + _LEAST_TEETH_DM * gap.px_per_dm)
    above = np.clip(edge - rows + 0.5, 0, 1)
    across = np.clip(1.15 - ((columns - middle) / half) ** 2, 0, 1)
    return np.asarray(above * across, np.float32)

"""Where a face lies and how it is cut out: the one alignment that training and runtime share.

Matrices say from-to. A map is a float32 [2, 3] that takes (x, y, 1); pixel centres have whole coordinates.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.types import FloatArray

TEMPLATE_SIZE_PX: Final[int] = 112

TEMPLATE_XY: Final[FloatArray] = np.array([[38.5, 41.5], [73.5, 41.5], [56.0, 61.5], [41.5, 82.5], [70.5, 82.5]], np.float32)
"""Where the anchors (right eye, left eye, nose tip, right and left mouth corner) come to lie in a 112 px crop. Eyes stand
35 px apart, high enough that the chin stays inside when the jaw drops (AU26)."""


def anchors_from_landmarks(landmarks_xy: FloatArray) -> FloatArray:
    """Five anchors [..., 5, 2] out of 68 landmarks [..., 68, 2]: eye centres, nose tip, mouth corners."""
    points = np.asarray(landmarks_xy, np.float32)
    eyes = [points[..., start : start + 6, :].mean(axis=-2) for start in (36, 42)]
    return np.stack([*eyes, points[..., 30, :], points[..., 48, :], points[..., 54, :]], axis=-2)


def crop_to_frame(anchors_xy: FloatArray, size_px: int = TEMPLATE_SIZE_PX) -> FloatArray:
    """Similarity maps [N, 2, 3] from crop pixels to frame pixels, least squares over the anchors [N, 5, 2].

    The closed form of the two-dimensional Procrustes problem without reflection: with points as complex numbers,
    minimise |a t + b - p|^2 over complex a, b (Umeyama 1991, for the plane). Degenerate anchors (all in one point) give
    a map of zero scale; `is_usable_map` tells.
    """
    points = np.asarray(anchors_xy, np.float64).reshape(-1, len(TEMPLATE_XY), 2)
    template = TEMPLATE_XY.astype(np.float64)
    template = (template + 0.5) * (size_px / TEMPLATE_SIZE_PX) - 0.5
    source = template[:, 0] + 1j * template[:, 1]
    target = points[..., 0] + 1j * points[..., 1]
    source_mean, target_mean = source.mean(), target.mean(axis=1)
    centred = source - source_mean
    a = ((target - target_mean[:, None]) * centred.conj()).sum(axis=1) / (np.abs(centred) ** 2).sum()
    b = target_mean - a * source_mean
    maps = np.empty((len(points), 2, 3), np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = a.real
    maps[:, 1, 0], maps[:, 0, 1] = a.imag, -a.imag
    maps[:, 0, 2], maps[:, 1, 2] = b.real, b.imag
    return maps


def apply_map(maps: FloatArray, points_xy: FloatArray) -> FloatArray:
    """Points [N, L, 2] through maps [N, 2, 3]."""
    moved = np.einsum("nij,nlj->nli", maps[:, :, :2], points_xy) + maps[:, None, :, 2]
    return np.asarray(moved, np.float32)


def invert_map(maps: FloatArray) -> FloatArray:
    """The inverse [N, 2, 3] of similarity maps [N, 2, 3]."""
    a, b = maps[:, 0, 0].astype(np.float64), maps[:, 1, 0].astype(np.float64)
    scale2 = np.maximum(a * a + b * b, 1e-20)
    inverse = np.empty_like(maps)
    inverse[:, 0, 0] = inverse[:, 1, 1] = a / scale2
    inverse[:, 0, 1], inverse[:, 1, 0] = b / scale2, -b / scale2
    inverse[:, :, 2] = -np.einsum("nij,nj->ni", inverse[:, :, :2], maps[:, :, 2])
    return inverse


def box_from_landmarks(landmarks_xy: FloatArray) -> FloatArray:
    """Boxes [N, 4] (x1, y1, x2, y2) around landmarks [N, 68, 2], raised to hold the forehead.

    The landmarks end at the brows; a forehead is about a third of the height from brows to chin.
    """
    low, high = landmarks_xy.min(axis=1), landmarks_xy.max(axis=1)
    low = low - np.stack([np.zeros(len(low)), 0.3 * (high - low)[:, 1]], axis=1)
    return np.concatenate([low, high], axis=1).astype(np.float32)


def map_scale(maps: FloatArray) -> NDArray[np.float64]:
    """Frame pixels per crop pixel [N] of similarity maps [N, 2, 3]."""
    return np.hypot(maps[:, 0, 0].astype(np.float64), maps[:, 1, 0])


def map_roll_deg(maps: FloatArray) -> NDArray[np.float64]:
    """Clockwise rotation in the picture, degrees [N], of maps [N, 2, 3]."""
    return np.degrees(np.arctan2(maps[:, 1, 0].astype(np.float64), maps[:, 0, 0]))

"""A small portrait of an aligned face: enough to notice that another person stands where one was a frame ago.

It is no face recognition: portraits are compared over a second or two, live in memory only and are never written.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from faceaffect.types import FloatArray

_GRID: Final[int] = 14


def draw_portraits(crops: FloatArray) -> FloatArray:
    """Portraits [N, P] of normalised crops [N, 3, S, S]: means of a coarse grid, each of zero mean and unit length.

    The subtraction per colour channel takes the light out; the outermost cells, mostly background, are left out.
    """
    count, _, size_px, _ = crops.shape
    cell = size_px // _GRID
    margin = (size_px - cell * _GRID) // 2
    inner = slice(margin + cell, margin + cell * (_GRID - 1))
    # Every second pixel is enough for a mean over a cell, at a quarter of the cost.
    cells = crops[:, :, inner, inner]
    side = _GRID - 2
    half = max(1, cell // 4)
    picked = cells.reshape(count, 3, side, cell, side, cell)[:, :, :, half::2, :, half::2]
    grid = picked.mean(axis=(3, 5))
    flat = grid - grid.mean(axis=(2, 3), keepdims=True)
    rows = flat.reshape(count, 3 * side * side)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)


def similarity(first: FloatArray, second: FloatArray) -> float:
    """Correlation of two portraits [P], -1 to 1."""
    return float(first @ second)

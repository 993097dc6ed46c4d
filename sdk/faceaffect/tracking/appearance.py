"""A small portrait of an aligned face: enough to notice that another person stands where one was a
frame ago.

It is no face recognition: portraits are compared over a second or two, live in memory only and
are never written.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from faceaffect.kernels.native import native
from faceaffect.types import FloatArray

_CELLS: Final[int] = 14
_GRID: Final[int] = _CELLS - 2  # the outermost cells are mostly background

_USUAL_FACE: Final[FloatArray] = np.array(
    [
        [-45, -32, -9, 15, 31, 36, 36, 31, 15, -9, -32, -45],
        [-44, -24, 4, 26, 40, 44, 44, 40, 26, 4, -24, -44],
        [-41, -18, 4, 10, 22, 39, 39, 22, 10, 4, -18, -41],
        [-34, -17, -14, -30, -29, 16, 16, -29, -30, -14, -17, -34],
        [-24, -5, -17, -33, -18, 25, 25, -18, -33, -17, -5, -24],
        [-17, 13, 33, 31, 32, 47, 47, 32, 31, 33, 13, -17],
        [-17, 11, 40, 48, 33, 44, 44, 33, 48, 40, 11, -17],
        [-20, 1, 21, 21, 15, 2, 2, 15, 21, 21, 1, -20],
        [-25, -9, 4, 2, 10, 5, 5, 10, 2, 4, -9, -25],
        [-30, -17, 2, 3, -8, 3, 3, -8, 3, 2, -17, -30],
        [-35, -29, -14, 6, 15, 8, 8, 15, 6, -14, -29, -35],
        [-42, -40, -35, -19, 7, 17, 17, 7, -19, -35, -40, -42],
    ],
    np.float32,
) / np.float32(1000)
"""The mean portrait of 631 aligned faces, made symmetric: what all faces share tells nobody apart
and is taken out.
"""

_USUAL_ROW: Final[FloatArray] = np.tile(_USUAL_FACE.ravel(), 3)  # [432]
_MEAN: Final[FloatArray] = np.full(
    (_GRID * _GRID, 1), 1 / _GRID**2, np.float32
)  # a product is the cheapest mean
_SHORTEST: Final = np.float32(1e-3)  # a flat crop stays flat: rounding is not blown up


def appearance_descriptors(crops: FloatArray) -> FloatArray:
    """Portraits [N, 432] of normalized crops [N, 3, S, S], S >= 28: samples of a 12 x 12 grid, of
    unit length.

    Subtracting the mean of each color channel takes the light out.
    """
    if native is not None:
        drawn: FloatArray = native.appearance_descriptors(crops, _USUAL_ROW)
        return drawn
    return _from_grid(sample_grid(crops))


def sample_grid(crops: FloatArray) -> FloatArray:
    """Sums [N, 3, 12, 12] of four pixels a cell; csrc/portrait_grid.h does the same where the crops
    lie on a GPU.
    """
    size_px = crops.shape[3]
    cell = size_px // _CELLS
    first = (size_px - cell * _CELLS) // 2 + cell
    inner = crops[:, :, first : first + cell * _GRID, first : first + cell * _GRID]
    # Four pixels stand for a cell: slices are far cheaper than a mean over all of it.
    near, far = cell // 4, cell - 1 - cell // 4
    grid = inner[:, :, near::cell, near::cell] + inner[:, :, near::cell, far::cell]
    return np.asarray(
        grid + inner[:, :, far::cell, far::cell] + inner[:, :, far::cell, near::cell], np.float32
    )


def descriptors_from_grid(grid: FloatArray) -> FloatArray:
    """Portraits [N, 432] of `sample_grid`'s sums [N, 3, 12, 12]."""
    if native is not None:
        drawn: FloatArray = native.descriptors_from_grid(grid, _USUAL_ROW)
        return drawn
    return _from_grid(grid)


def _from_grid(grid: FloatArray) -> FloatArray:
    channels = grid.reshape(-1, 3, _GRID * _GRID)
    rows = (channels - channels @ _MEAN).reshape(-1, 3 * _GRID * _GRID)
    _scale_to_unit(rows)
    rows -= _USUAL_ROW
    _scale_to_unit(rows)
    return rows


def _scale_to_unit(rows: FloatArray) -> None:
    """Rows [N, P] in place to unit length."""
    length = np.sqrt(np.einsum("np,np->n", rows, rows))
    rows /= np.maximum(length, _SHORTEST, out=length)[:, None]


def similarity(first: FloatArray, second: FloatArray) -> float:
    """Correlation of two portraits [P], -1 to 1."""
    if native is not None:
        alike: float = native.correlation(first, second)
        return alike
    return float(first @ second)

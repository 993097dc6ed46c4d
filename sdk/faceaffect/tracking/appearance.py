"""Appearance descriptors of aligned faces, to notice that a track has switched to another person.

This is no face recognition: descriptors are compared over a second or two, are kept in memory only
and are never written.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from faceaffect.kernels import face_ops
from faceaffect.kernels.face_ops import cosine_similarity as cosine_similarity
from faceaffect.types import FloatArray

_MEAN_FACE: Final[FloatArray] = np.array(
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

MEAN_DESCRIPTOR: Final[FloatArray] = np.tile(_MEAN_FACE.ravel(), 3)  # [432]
"""Mean descriptor of 631 aligned faces, made symmetric.

It is subtracted because what all faces share does not distinguish them.
"""


def appearance_descriptors(crops: FloatArray) -> FloatArray:
    """Unit-length descriptors [N, 432] of normalized crops [N, 3, S, S], S >= 28.

    They are samples of a 12 x 12 grid. Subtracting the mean of each color channel removes the
    influence of the illumination.
    """
    return face_ops.appearance_descriptors(crops, MEAN_DESCRIPTOR)


def descriptors_from_grid(grid: FloatArray) -> FloatArray:
    """Unit-length descriptors [N, 432] of the grids [N, 3, 12, 12] that a GPU backend samples."""
    return face_ops.descriptors_from_grid(grid, MEAN_DESCRIPTOR)

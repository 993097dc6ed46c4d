"""Face region of each action unit, and a test of whether it is visible in an image."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.synthesis.head_mesh import FloatArray
from training.synthesis.head_renderer import REGION_EYES, REGION_FACE, REGION_MOUTH

_MOUTH: Final = tuple(range(48, 68))

_AU_LANDMARKS: Final[dict[str, tuple[int, ...]]] = {
    "AU1": (20, 21, 22, 23),
    "AU2": (17, 18, 19, 24, 25, 26),
    "AU4": (19, 20, 21, 22, 23, 24, 27),
    "AU6": (36, 40, 41, 45, 46, 47),
    "AU7": (37, 38, 40, 41, 43, 44, 46, 47),
    "AU10": (31, 33, 35, 49, 50, 51, 52, 53),
    "AU12": (48, 49, 53, 54, 59, 55, 60, 64),
    "AU15": (48, 49, 53, 54, 59, 55, 60, 64),
    "AU23": _MOUTH,
    "AU24": _MOUTH,
    "AU25": _MOUTH,
    "AU26": (*_MOUTH, 7, 8, 9),
}
"""Landmarks (of 68) around the visible appearance change of each action unit."""

MIN_VISIBLE_FRACTION: Final[float] = 0.5
"""An action unit counts as visible from this fraction of its landmarks on."""


def visible_aus(
    regions: NDArray[np.uint8], hidden: NDArray[np.bool_], landmarks_xy: FloatArray
) -> NDArray[np.bool_]:
    """Returns visibility [12] of the action units.

    A landmark is visible unless hair, an occluder or the image border hides it. The far side of a
    turned face counts as visible because the near side shows the same action unit.

    Args:
        regions: Region map [S, S].
        hidden: Mask [S, S] of occluded pixels.
        landmarks_xy: Landmarks [68, 2] in pixels.
    """
    is_free = np.isin(regions, (REGION_FACE, REGION_EYES, REGION_MOUTH)) & ~hidden
    size_px = regions.shape[0]
    pixels = np.rint(landmarks_xy).astype(int)
    is_inside = ((pixels >= 0) & (pixels < size_px)).all(axis=1)
    x, y = np.clip(pixels, 1, size_px - 2).T
    patch = np.stack([is_free[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    is_visible = is_inside & (patch.mean(axis=0) > 0.4)
    return np.array(
        [is_visible[list(_AU_LANDMARKS[name])].mean() >= MIN_VISIBLE_FRACTION for name in AU_NAMES]
    )

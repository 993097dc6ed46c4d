"""Where in the image each action unit shows, and whether that part can be seen."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.synthesis.head_mesh import FloatArray
from training.synthesis.renderer import REGION_EYES, REGION_FACE, REGION_MOUTH

_MOUTH: Final = tuple(range(48, 68))

_POINTS: Final[dict[str, tuple[int, ...]]] = {
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
"""Landmarks (of 68) at which a unit is seen."""

VISIBLE_SHARE: Final[float] = 0.5
"""From this share of a unit's points on it counts as visible."""


def visible_units(
    regions: NDArray[np.uint8], hidden: NDArray[np.bool_], landmarks_xy: FloatArray
) -> NDArray[np.bool_]:
    """Which of the twelve units [12] can be seen, from a region map [S, S], hidden pixels [S, S]
    and landmarks [68, 2].

    A point is seen where hair, a thing in front, or the edge of the image does not take it away;
    the far side of a turned face counts as seen, since the near side shows the same unit.
    """
    is_free = np.isin(regions, (REGION_FACE, REGION_EYES, REGION_MOUTH)) & ~hidden
    size_px = regions.shape[0]
    at = np.rint(landmarks_xy).astype(int)
    is_inside = ((at >= 0) & (at < size_px)).all(axis=1)
    x, y = np.clip(at, 1, size_px - 2).T
    patch = np.stack([is_free[y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    is_seen = is_inside & (patch.mean(axis=0) > 0.4)
    return np.array([is_seen[list(_POINTS[name])].mean() >= VISIBLE_SHARE for name in AU_NAMES])

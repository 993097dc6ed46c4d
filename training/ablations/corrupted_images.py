"""What the settings do to crops: noise, coarse pixels, things in front. Each crop once, always the
same way.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES

VERSION: Final = 1
"""Raised whenever the same amounts would give other images; stored ones of another version are not
used.
"""

Image = NDArray[np.uint8]  # [S, S, 3] RGB

COVERS: Final[dict[str, tuple[str, ...]]] = {
    "brows": ("AU1", "AU2", "AU4"),
    "eyes": ("AU6", "AU7"),
    "mouth": ("AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26"),
}
"""Parts of the face that can be covered, and the units that show there; a row's cover is 0 for
none, else 1 + the place.
"""

_POINTS: Final = {
    "brows": tuple(range(17, 27)),
    "eyes": tuple(range(36, 48)),
    "mouth": tuple(range(48, 68)),
}
_MARGIN: Final = {
    "brows": (0.06, 0.07),
    "eyes": (0.08, 0.07),
    "mouth": (0.1, 0.1),
}  # in sides of the crop, x and y

COARSE_PX: Final = (12, 96)
"""Sides to which crops of 112 px are shrunk."""
CROP_PX: Final = 112
NOISE: Final = 0.12
NOISY_SIDE_PX: Final = (16, 32)


def row_random(path: str, stream: int = 0) -> np.random.Generator:
    """The source of chance of one crop."""
    return np.random.default_rng([stream, zlib.crc32(path.encode())])


def noisy(
    image: Image, amount: float, landmarks: NDArray[np.float32], random: np.random.Generator
) -> Image:
    """Few pixels, dim light and much noise: the image still tells something, but little."""
    side = image.shape[0]
    small = max(4, round(side * random.uniform(*NOISY_SIDE_PX) / CROP_PX))
    values = _coarse(image, small).astype(np.float32) / 255 * random.uniform(0.4, 0.9)
    values = values + random.normal(0, NOISE * amount, image.shape).astype(np.float32)
    return np.asarray(np.rint(values.clip(0, 1) * 255), np.uint8)


def coarse(
    image: Image, amount: float, landmarks: NDArray[np.float32], random: np.random.Generator
) -> Image:
    """Shrunk to `amount` of its side, and back."""
    return _coarse(image, max(2, round(image.shape[0] * amount)))


def _coarse(image: Image, small_px: int) -> Image:
    side = image.shape[0]
    small = cv2.resize(image, (small_px, small_px), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def covered(
    image: Image, amount: float, landmarks: NDArray[np.float32], random: np.random.Generator
) -> Image:
    """A plain thing of any color over the part `amount` of COVERS, somewhat larger than it."""
    if not amount:
        return image
    name = tuple(COVERS)[int(amount) - 1]
    side = image.shape[0]
    points = landmarks[list(_POINTS[name])]
    low, high = points.min(axis=0) - _MARGIN[name], points.max(axis=0) + _MARGIN[name]
    middle, half = (
        (low + high) / 2 + random.normal(0, 0.015, 2),
        (high - low) / 2 * random.uniform(1.0, 1.2, 2),
    )
    turn = random.normal(0, 8)
    box = cv2.boxPoints(((middle * side).tolist(), (2 * half * side).tolist(), turn))
    out = image.copy()
    cv2.fillPoly(out, [np.rint(box).astype(np.int32)], random.integers(20, 236, 3).tolist())
    return np.asarray(out)


CHANGES: Final[
    dict[str, Callable[[Image, float, NDArray[np.float32], np.random.Generator], Image]]
] = {
    "noisy": noisy,
    "coarse": coarse,
    "covered": covered,
}


def hidden_units(covers: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which units [N, 12] the covers [N] hide."""
    found = np.zeros((len(covers), len(AU_NAMES)), bool)
    for k, units in enumerate(COVERS.values(), start=1):
        found[np.ix_(covers == k, [AU_NAMES.index(unit) for unit in units])] = True
    return found

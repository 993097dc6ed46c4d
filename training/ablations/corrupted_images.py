"""Corruptions of aligned crops: noise, low resolution, occlusion.

Every crop is corrupted once, with a random generator seeded by its path.
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
"""Increment when the same parameters would produce other images: stored images of another version
are not used.
"""

Image = NDArray[np.uint8]  # [S, S, 3] RGB

FACE_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "brows": ("AU1", "AU2", "AU4"),
    "eyes": ("AU6", "AU7"),
    "mouth": ("AU10", "AU12", "AU15", "AU23", "AU24", "AU25", "AU26"),
}
"""Face parts that can be occluded, with the AUs visible there. The parameter of `occlude` is 0 for
no occlusion, else 1 + the index of the part.
"""

_LANDMARKS: Final = {
    "brows": tuple(range(17, 27)),
    "eyes": tuple(range(36, 48)),
    "mouth": tuple(range(48, 68)),
}
_MARGIN: Final = {
    "brows": (0.06, 0.07),
    "eyes": (0.08, 0.07),
    "mouth": (0.1, 0.1),
}  # x and y, in crop sides

LOW_RESOLUTION_PX: Final = (12, 96)
"""Range of the sides to which crops of 112 px are downsampled."""
CROP_PX: Final = 112
NOISE: Final = 0.12
NOISY_SIDE_PX: Final = (16, 32)


def crop_rng(path: str, stream: int = 0) -> np.random.Generator:
    """Random generator of one crop."""
    return np.random.default_rng([stream, zlib.crc32(path.encode())])


def add_noise(
    image: Image, parameter: float, landmarks: NDArray[np.float32], rng: np.random.Generator
) -> Image:
    """Downsample, darken, and add Gaussian noise of `parameter` times `NOISE`."""
    side = image.shape[0]
    small_px = max(4, round(side * rng.uniform(*NOISY_SIDE_PX) / CROP_PX))
    values = _down_and_up(image, small_px).astype(np.float32) / 255 * rng.uniform(0.4, 0.9)
    values = values + rng.normal(0, NOISE * parameter, image.shape).astype(np.float32)
    noisy: Image = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return noisy


def lower_resolution(
    image: Image, parameter: float, landmarks: NDArray[np.float32], rng: np.random.Generator
) -> Image:
    """Downsample to `parameter` times the side, then upsample to the original size."""
    return _down_and_up(image, max(2, round(image.shape[0] * parameter)))


def _down_and_up(image: Image, small_px: int) -> Image:
    side = image.shape[0]
    small = cv2.resize(image, (small_px, small_px), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def occlude(
    image: Image, parameter: float, landmarks: NDArray[np.float32], rng: np.random.Generator
) -> Image:
    """Draw a rotated box of a random color over a face part (see `FACE_PARTS`)."""
    if not parameter:
        return image
    name = tuple(FACE_PARTS)[int(parameter) - 1]
    side = image.shape[0]
    points = landmarks[list(_LANDMARKS[name])]
    low = points.min(axis=0) - _MARGIN[name]
    high = points.max(axis=0) + _MARGIN[name]
    center = (low + high) / 2 + rng.normal(0, 0.015, 2)
    half_size = (high - low) / 2 * rng.uniform(1.0, 1.2, 2)
    angle_deg = rng.normal(0, 8)
    box = cv2.boxPoints(((center * side).tolist(), (2 * half_size * side).tolist(), angle_deg))
    out: Image = image.copy()
    cv2.fillPoly(out, [np.rint(box).astype(np.int32)], rng.integers(20, 236, 3).tolist())
    return out


CORRUPTIONS: Final[
    dict[str, Callable[[Image, float, NDArray[np.float32], np.random.Generator], Image]]
] = {
    "noise": add_noise,
    "low_resolution": lower_resolution,
    "occlusion": occlude,
}


def find_occluded_aus(parts: NDArray[np.float32]) -> NDArray[np.bool_]:
    """AUs [N, 12] hidden by occlusions with the parameters `parts` [N]."""
    is_occluded = np.zeros((len(parts), len(AU_NAMES)), bool)
    for k, aus in enumerate(FACE_PARTS.values(), start=1):
        is_occluded[np.ix_(parts == k, [AU_NAMES.index(au) for au in aus])] = True
    return is_occluded

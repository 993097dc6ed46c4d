"""A gray image of a face's parts, the fourth channel of M5's clips."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import LANDMARK_COUNT

# From back to front: gray, then the outline's landmarks. The published colors are not known; the
# order of grays is that
# of the line drawings which M5 made denser (mouth, brows, eyes, nose, chin).
_PARTS: Final[tuple[tuple[int, tuple[int, ...]], ...]] = (
    (31, (*range(17), *range(26, 16, -1))),  # the face, jaw line and brows
    (63, (27, *range(31, 36))),  # nose
    (223, tuple(range(17, 22))),  # right brow
    (191, tuple(range(22, 27))),  # left brow
    (159, tuple(range(36, 42))),  # right eye
    (127, tuple(range(42, 48))),  # left eye
    (255, tuple(range(48, 60))),  # lips
    (95, tuple(range(60, 68))),  # between the lips
)
_FRACTION_BITS: Final = 4  # polygons are placed to a sixteenth of a pixel


def part_mask(landmarks_px: NDArray[np.float32], size_px: int) -> NDArray[np.uint8]:
    """[68, 2] in crop pixels -> [size, size]: filled parts of the face, each of its own gray, 0
    elsewhere.

    ValueError where landmarks are not 68 finite points.
    """
    points = np.asarray(landmarks_px, np.float64)
    if points.shape != (LANDMARK_COUNT, 2) or not np.isfinite(points).all():
        raise ValueError(
            f"a part mask needs {LANDMARK_COUNT} finite points [68, 2], got shape {points.shape}"
        )
    image = np.zeros((size_px, size_px), np.uint8)
    fixed = np.round(points.clip(-4 * size_px, 5 * size_px) * (1 << _FRACTION_BITS)).astype(
        np.int32
    )
    for gray, outline in _PARTS:
        cv2.fillPoly(
            image, [fixed[list(outline)]], (gray,), lineType=cv2.LINE_8, shift=_FRACTION_BITS
        )
    return image

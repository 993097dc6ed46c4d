"""Gray-level mask of the parts of a face, the fourth input channel of M5."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import LANDMARK_COUNT

# From back to front: gray level, then the landmarks of the outline. The published colors are not
# known; the order of gray levels is that of the line drawings that M5 densified (mouth, brows,
# eyes, nose, chin).
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
_FRACTION_BITS: Final = 4  # polygons are drawn at a sixteenth of a pixel


def face_part_mask(landmarks_px: NDArray[np.float32], size_px: int) -> NDArray[np.uint8]:
    """Draw the filled parts of a face, each with its own gray level, on a black image.

    Args:
        landmarks_px: [68, 2] in crop pixels.
        size_px: Side S of the mask.

    Returns:
        Mask [S, S].

    Raises:
        ValueError: Landmarks are not 68 finite points.
    """
    points = np.asarray(landmarks_px, np.float64)
    if points.shape != (LANDMARK_COUNT, 2) or not np.isfinite(points).all():
        raise ValueError(f"expected {LANDMARK_COUNT} finite points [68, 2], got {points.shape}")
    mask = np.zeros((size_px, size_px), np.uint8)
    clipped = points.clip(-4 * size_px, 5 * size_px)
    fixed_point = np.round(clipped * (1 << _FRACTION_BITS)).astype(np.int32)
    for gray, outline in _PARTS:
        polygon = fixed_point[list(outline)]
        cv2.fillPoly(mask, [polygon], (gray,), lineType=cv2.LINE_8, shift=_FRACTION_BITS)
    return mask

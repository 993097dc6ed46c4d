"""Reads the face of a row of a frame table as an image, cropped as at run time.

Images with landmarks are aligned by them, images with a box are cropped around it, and stored crops
are only resized.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import (
    estimate_crop_to_frame,
    keypoints_from_landmarks,
    rescale_transforms,
)
from faceaffect.kernels import crop_face
from faceaffect.types import Frame
from training.datasets.broken_data import BrokenFileError
from training.datasets.frame_table import FrameTable

BOX_MARGIN: Final = 0.25
"""Margin around a box, as a fraction of its longer side."""


def read_crop(table: FrameTable, row: int, size_px: int) -> NDArray[np.float32]:
    """RGB crop [3, S, S] in 0..1 of a row with an image.

    Raises:
        BrokenFileError: the image cannot be decoded.
    """
    path = str(table.path_of(row))
    bgr = cv2.imread(path, cv2.IMREAD_COLOR)
    if bgr is None:
        raise BrokenFileError(path, None, "cannot be decoded as an image")
    pixels = np.asarray(bgr, np.uint8)
    crop_to_frame = _crop_to_frame(table, row, pixels.shape[1], pixels.shape[0], size_px)
    frame = Frame(pixels, source=path)
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return np.asarray(crop_face(frame, crop_to_frame, size_px=size_px, mean=mean, std=std)[0])


def _crop_to_frame(
    table: FrameTable, row: int, width_px: int, height_px: int, size_px: int
) -> NDArray[np.float32]:
    """Crop-to-image transform [1, 2, 3]."""
    if table.landmarks_xy is not None and np.isfinite(table.landmarks_xy[row]).all():
        keypoints = keypoints_from_landmarks(table.landmarks_xy[row][None])
        return rescale_transforms(estimate_crop_to_frame(keypoints), size_px)
    if table.box is not None and np.isfinite(table.box[row]).all():
        x1, y1, x2, y2 = table.box[row].tolist()
        side = max(x2 - x1, y2 - y1) * (1 + BOX_MARGIN)
        return _square((x1 + x2) / 2, (y1 + y2) / 2, side, size_px)
    return _square(width_px / 2, height_px / 2, min(width_px, height_px), size_px)


def _square(x: float, y: float, side: float, size_px: int) -> NDArray[np.float32]:
    """Crop-to-image transform [1, 2, 3] of an axis-aligned square about (x, y).

    `x` and `y` are measured from the image edges, not from pixel centers.
    """
    scale = side / size_px
    shift = -side / 2 + 0.5 * scale - 0.5
    return np.array([[[scale, 0, x + shift], [0, scale, y + shift]]], np.float32)

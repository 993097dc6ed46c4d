"""Converts frames of any pixel format to BGR, for consumers that need color images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.reference import split_planes
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import Frame, PixelFormat, YuvColor

cv2 = import_opencv()


def to_bgr(frame: Frame) -> NDArray[np.uint8]:
    """Convert a frame to BGR [H, W, 3].

    Chroma is interpolated linearly, with its samples in the middle of 2 x 2 pixels, as when faces
    are cropped.

    Args:
        frame: A `Frame` or `DeviceFrame`.

    Returns:
        A new array; the pixels themselves if they are BGR.

    Examples:
        >>> import faceaffect as fa
        >>> with fa.open_source("clip.mp4") as source:
        ...     fa.to_bgr(next(iter(source))).shape
        (360, 640, 3)
    """
    pixels: Any = frame.pixels
    if frame.pixel_format is PixelFormat.BGR:
        return frame.pixels
    if frame.pixel_format.is_yuv:
        luma, *chroma = split_planes(frame)
        height, width = luma.shape[:2]
        upsampled = [_double(plane)[:height, :width] for plane in chroma]
        return bgr_from_yuv([luma, *upsampled], frame.color)
    code = cv2.COLOR_RGB2BGR if frame.pixel_format.is_color else cv2.COLOR_GRAY2BGR
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), np.uint8)


def as_bgr_frame(frame: Frame) -> Frame:
    """Return a BGR frame with the same image."""
    return replace(
        frame, pixels=to_bgr(frame), pixel_format=PixelFormat.BGR, chroma=None, color=YuvColor.BT601
    )


def bgr_from_yuv(
    planes: Sequence[NDArray[np.uint8]], color: YuvColor, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Convert planes of one size to BGR [H, W, 3].

    Args:
        planes: Luma [H, W] or [H, W, 1], then U and V likewise or (U, V) [H, W, 2].
        color: Color matrix and range.
        out: Array to fill; by default a new one.
    """
    offset, scale, v_to_red, u_to_green, v_to_green, u_to_blue = color.coefficients
    factors = np.array(
        [[scale, u_to_blue, 0], [scale, u_to_green, v_to_green], [scale, 0, v_to_red]]
    )
    shift = -factors @ np.array([offset, 128, 128])
    sources: Any = planes
    yuv = cv2.merge(sources)
    bgr = cv2.transform(yuv, np.concatenate([factors, shift[:, None]], axis=1), dst=out)
    return np.asarray(bgr, np.uint8)


def _double(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = (2 * plane.shape[1], 2 * plane.shape[0])
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.uint8)

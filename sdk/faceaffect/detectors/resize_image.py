"""Resizes frames for detectors."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from faceaffect.detectors.buffer_pool import BufferPool
from faceaffect.kernels.color_conversion import bgr_from_yuv
from faceaffect.kernels.reference import split_planes
from faceaffect.types import Frame, PixelFormat

_SUBSAMPLING_MIN_SCALE: Final = 4.0
"""Factor from which images are subsampled; below, halving first costs less than half of that."""


def resize_to_bgr(
    frame: Frame, longest_px: int, buffers: BufferPool | None = None
) -> tuple[NDArray[np.uint8], float]:
    """Convert a frame to BGR with its longest side at most `longest_px`.

    It is resized first: each plane of a YUV frame to the size of the image.

    Args:
        frame: Any frame.
        longest_px: Largest width and height of the image.
        buffers: Memory for the image, which the next call with the same pool overwrites; by
            default new arrays.

    Returns:
        The image, and the number of frame pixels per image pixel.
    """
    buffers = buffers or BufferPool()
    scale = max(1.0, max(frame.height_px, frame.width_px) / longest_px)
    size = (max(1, round(frame.width_px / scale)), max(1, round(frame.height_px / scale)))
    if frame.pixel_format.is_yuv:
        luma, *chroma = split_planes(frame)
        resized = [_resize(luma, size, scale, buffers, "y")]
        resized += [
            _resize(plane, size, scale / 2, buffers, name)
            for plane, name in zip(chroma, ("u", "v"), strict=False)
        ]
        return bgr_from_yuv(resized, frame.color, buffers.get("bgr", (*size[::-1], 3))), scale
    pixels: Any = _resize(frame.pixels, size, scale, buffers)
    if frame.pixel_format is PixelFormat.RGB:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    elif frame.pixel_format is PixelFormat.GRAY:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels), scale


def _resize(
    pixels: Any, size: tuple[int, int], scale: float, buffers: BufferPool, name: str = ""
) -> Any:
    """Resize an image [H, W] or [H, W, C] to `size` (width, height); `name` is for its buffers.

    OpenCV's area interpolation is used at a factor of exactly two only, where it is some 20 times
    faster.
    """
    width, height = size
    if pixels.shape[1::-1] == size:
        return pixels
    channels = pixels.shape[2:] if pixels.shape[2:] != (1,) else ()
    pixels = pixels.reshape(*pixels.shape[:2], *channels)
    small = buffers.get(name + "small", (height, width, *channels))
    if scale >= _SUBSAMPLING_MIN_SCALE:
        # Four bilinear samples per pixel prevent enough aliasing for a detector. The rows between
        # them are never read.
        step = pixels.shape[0] // (2 * height)
        pixels = pixels[(step - 1) // 2 :: step]
        twice = buffers.get(name + "twice", (2 * height, 2 * width, *channels))
        twice = cv2.resize(
            pixels, (2 * width, 2 * height), dst=twice, interpolation=cv2.INTER_LINEAR
        )
        return cv2.resize(twice, size, dst=small, interpolation=cv2.INTER_AREA)
    if scale >= 2 and min(pixels.shape[:2]) >= 2:
        # An odd last row or column is dropped: a thousandth of the image, and the factor is exact.
        rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
        half = buffers.get(name + "half", (rows, columns, *channels))
        even = pixels[: 2 * rows, : 2 * columns]
        pixels = cv2.resize(even, (columns, rows), dst=half, interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, size, dst=small, interpolation=cv2.INTER_LINEAR)

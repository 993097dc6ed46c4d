"""Reads an image file as uint8 pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.sources.blend_alpha import blend_alpha
from faceaffect.sources.import_opencv import MAX_PIXELS_VARIABLE, import_opencv
from faceaffect.sources.source import (
    DEFAULT_MAX_PIXELS,
    SourceError,
    SourceOptions,
    check_pixel_count,
)
from faceaffect.system.regular_file import read_regular
from faceaffect.types import PixelFormat

MAX_IMAGE_BYTES: Final[int] = 1 << 30
VIDEO_CODEC_SUFFIXES: Final = frozenset([".avif", ".heic", ".heif"])
"""Suffixes of images that are coded like a frame of video, so that FFmpeg reads them."""
_JPEG_START: Final = b"\xff\xd8"
_DEPTHS_BITS: Final = (8, 10, 12, 14, 16)


def read_image(
    path: Path, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Read an image, rotated as its EXIF data says.

    Args:
        path: The file; links are followed, pipes and devices are refused.
        max_pixels: Larger images are refused, and those above the limit of the process
            (`import_opencv.MAX_PIXELS_VARIABLE`) before they are decoded.

    Returns:
        Pixels [H, W, 3] BGR or [H, W] GRAY and their format. More than 8 bits are reduced to 8,
        transparent pixels are blended with gray.

    Raises:
        SourceError: the file cannot be read or decoded, or is too large.
    """
    if path.suffix.lower() in VIDEO_CODEC_SUFFIXES:
        return _read_with_ffmpeg(path, max_pixels), PixelFormat.BGR
    try:
        content = read_regular(path, MAX_IMAGE_BYTES, follows_links=True)
    except OSError as error:
        raise SourceError(
            f"{path}: the image cannot be read ({error.strerror}); check the path"
        ) from None
    if not content:
        raise SourceError(f"{path}: expected an image, got an empty file (0 bytes); copy it again")
    cv2 = import_opencv()
    try:
        encoded = np.frombuffer(content, np.uint8)
        pixels = cv2.imdecode(encoded, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        is_opaque = pixels is None or content[:2] == _JPEG_START
        with_alpha = None if is_opaque else cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if "MAX_IMAGE" in str(error.err):
            limit = os.environ.get(MAX_PIXELS_VARIABLE)
            raise SourceError(
                f"{path}: expected at most {limit} pixels, got an image that declares more; "
                "raise --max-pixels if you trust the file"
            ) from None
        raise SourceError(
            f"{path}: expected an image, got a file that OpenCV refuses ({error.err}); convert it"
        ) from None
    if pixels is None:
        raise SourceError(
            f"{path}: expected an image, got a file that cannot be decoded; "
            "it may be damaged or no image"
        )
    check_pixel_count(str(path), pixels.shape[1], pixels.shape[0], max_pixels)
    if with_alpha is not None and with_alpha.ndim == 3 and with_alpha.shape[2] == 4:
        reduced = reduce_depth(with_alpha)
        if reduced[:, :, 3].min() < 255:
            pixels = reduced
    return to_frame_pixels(pixels)


def to_frame_pixels(pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Return decoded pixels [H, W], [H, W, 3] or [H, W, 4] as a frame has them."""
    reduced = reduce_depth(pixels)
    if reduced.ndim == 3 and reduced.shape[2] == 4:
        reduced = blend_alpha(reduced)
    return reduced, PixelFormat.BGR if reduced.ndim == 3 else PixelFormat.GRAY


def reduce_depth(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale pixels of any type to 8 bits.

    Integers of 16 bits may hold 10, 12, 14 or 16: the smallest depth that holds the largest value
    counts. Floats are 0 to 1, or 0 to their largest value if that is more.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if np.issubdtype(pixels.dtype, np.floating):
        finite = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return np.rint(finite.clip(0) * (255 / max(1.0, float(finite.max())))).astype(np.uint8)
    values = pixels.clip(0)
    largest = int(values.max())
    bits = next((depth for depth in _DEPTHS_BITS if largest < 1 << depth), largest.bit_length())
    return (values >> (bits - 8)).astype(np.uint8)


def _read_with_ffmpeg(path: Path, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image that is coded like video.

    Raises:
        SourceError: it cannot be decoded, or consists of tiles, which are not joined here.
    """
    from faceaffect.sources.media_container import open_file
    from faceaffect.sources.video_file import VideoFile

    container = open_file(path, SourceOptions())
    tiles = sum(
        stream.disposition.name is not None and "dependent" in stream.disposition.name
        for stream in container.streams.video
    )
    if tiles > 1:
        container.close()
        raise SourceError(
            f"{path}: expected one image, got {tiles} tiles, which are not joined here; "
            "convert it to .jpg"
        )
    with VideoFile(
        path, SourceOptions(prefetch_frames=1, max_pixels=max_pixels), container
    ) as source:
        return next(iter(source)).pixels

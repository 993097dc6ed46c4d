"""Reads an image file as uint8 pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.sources.import_opencv import MAX_PIXELS_VARIABLE, import_opencv
from faceaffect.sources.source import DEFAULT_MAX_PIXELS, SourceError, check_pixel_count
from faceaffect.system.regular_file import read_regular
from faceaffect.types import PixelFormat

MAX_IMAGE_BYTES: Final[int] = 1 << 30


def read_image(
    path: Path, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Read an image, rotated as its EXIF data says.

    Args:
        path: The file; links are followed, pipes and devices are refused.
        max_pixels: Larger images are refused, and those above the limit of the process
            (`import_opencv.MAX_PIXELS_VARIABLE`) before they are decoded.

    Returns:
        Pixels [H, W, 3] BGR or [H, W] GRAY and their format; 16 bits are reduced to 8,
        transparency is dropped.

    Raises:
        SourceError: the file cannot be read or decoded, or is too large.
    """
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
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR)
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
    return pixels, PixelFormat.BGR if pixels.ndim == 3 else PixelFormat.GRAY


def is_animated_webp(path: Path) -> bool:
    """Return whether a WebP file holds several images, of which `read_image` reads the first."""
    with path.open("rb") as stream:
        header = stream.read(21)
    return (
        header[:4] == b"RIFF"
        and header[8:16] == b"WEBPVP8X"
        and len(header) == 21
        and bool(header[20] & 2)
    )

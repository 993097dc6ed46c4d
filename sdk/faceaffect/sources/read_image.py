"""Reads an image file as uint8 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceaffect.sources.image_size import DEFAULT_MAX_PIXELS, check_pixel_count
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.source import SourceError
from faceaffect.system.regular_file import read_regular
from faceaffect.types import PixelFormat

MAX_IMAGE_BYTES = 1 << 30


def read_image(
    path: Path, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Read an image, rotated as its EXIF data says.

    Args:
        path: The file; links are followed, pipes and devices are refused.
        max_pixels: Images that declare more pixels are refused before they are decoded.

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
    check_pixel_count(path, content, max_pixels)
    cv2 = import_opencv()
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        raise SourceError(
            f"{path}: expected an image, got a file that OpenCV refuses ({error.err}); convert it"
        ) from None
    if pixels is None:
        raise SourceError(
            f"{path}: expected an image, got a file that cannot be decoded; "
            "it may be damaged or no image"
        )
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

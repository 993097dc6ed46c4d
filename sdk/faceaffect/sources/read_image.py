"""An image file as the uint8 pixels that the crop kernel reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.source import SourceError
from faceaffect.types import PixelFormat


def read_image(path: Path) -> tuple[NDArray[np.uint8], PixelFormat]:
    """Pixels [H, W, 3] BGR or [H, W] GRAY, turned as EXIF says; 16 bits become 8, transparency is
    dropped.
    """
    try:
        encoded = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(
            f"{path}: an image was wanted, it cannot be read: {error.strerror}; check the path"
        ) from None
    if encoded.size == 0:
        raise SourceError(
            f"{path}: an image was wanted, this file is empty (0 bytes); copy it again"
        )
    cv2 = import_opencv()
    try:
        pixels = cv2.imdecode(encoded, cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        raise SourceError(
            f"{path}: an image was wanted, OpenCV refuses this file: {error.err}"
        ) from None
    if pixels is None:
        raise SourceError(
            f"{path}: an image was wanted, this file cannot be decoded; it may be damaged or no image"
        )
    return pixels, PixelFormat.BGR if pixels.ndim == 3 else PixelFormat.GRAY


def is_animated_webp(path: Path) -> bool:
    """Whether the file holds several images, of which `read_image` gives the first."""
    with path.open("rb") as stream:
        start = stream.read(21)
    return (
        start[:4] == b"RIFF"
        and start[8:16] == b"WEBPVP8X"
        and len(start) == 21
        and bool(start[20] & 2)
    )

"""Imports OpenCV with its log switched off: the errors of this package say what a user needs."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

DEFAULT_MAX_IMAGE_PIXELS: Final[int] = 1 << 26
"""67 megapixels, as 8192 x 8192. Reading such an image takes 0.6 GB, with 16 bits and transparency
1.1 GB, as a TIFF of floats 2.2 GB; a file of 128 kB can declare sixteen times as many pixels."""
MAX_PIXELS_VARIABLE: Final = "OPENCV_IO_MAX_IMAGE_PIXELS"
"""OpenCV's limit for images, checked before they are decoded; read once, when it is imported."""


def import_opencv() -> ModuleType:
    """Import OpenCV, with its log and FFmpeg's switched off unless the environment sets them."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    os.environ.setdefault(MAX_PIXELS_VARIABLE, str(DEFAULT_MAX_IMAGE_PIXELS))
    uses_log = "OPENCV_LOG_LEVEL" in os.environ
    import cv2

    if not uses_log:
        # OpenCV 4 and 5 have the same function in two places.
        set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_log_level(0)
    return cv2

"""Imports OpenCV with its log switched off: the errors of this package say what a user needs."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

from faceaffect.sources.source import DEFAULT_MAX_IMAGE_PIXELS

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

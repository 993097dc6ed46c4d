"""OpenCV without its chatter: our errors say what a user needs, its log lines would only repeat them."""

from __future__ import annotations

import os
from types import ModuleType


def quiet_opencv() -> ModuleType:
    """Import OpenCV with its own and FFmpeg's log switched off, unless the environment asks for them."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    import cv2

    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2

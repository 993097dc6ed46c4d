"""OpenCV without its chatter: our errors say what a user needs, its log lines would only repeat
them.
"""

from __future__ import annotations

import os
from types import ModuleType


def import_opencv() -> ModuleType:
    """Import OpenCV with its own and FFmpeg's log switched off, unless the environment asks for
    them.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    is_wanted = "OPENCV_LOG_LEVEL" in os.environ
    import cv2

    if not is_wanted:
        # OpenCV 4 and 5 keep the same switch in two places.
        silence = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel
        silence(0)
    return cv2

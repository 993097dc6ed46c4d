"""Network camera: `rtsp://user:password@host/path`, through FFmpeg over TCP."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from faceaffect.sources.camera_source import CameraConfig
from faceaffect.sources.capture import Capture
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.source import SourceError
from faceaffect.types import PixelFormat

_TIMEOUT_MS: Final = 5000  # OpenCV's default of 30 s looks like a hang


def rtsp_stream(uri: str) -> CameraConfig:
    """Return the configuration of an RTSP stream.

    Raises:
        SourceError: the address has no host.
    """
    if not urlsplit(uri).hostname:
        raise SourceError(
            f"{redact_password(uri)}: expected a stream such as rtsp://host/path, got no host"
        )

    def open_capture() -> Capture:
        cv2 = import_opencv()
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            _TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            _TIMEOUT_MS,
        ]
        return cv2.VideoCapture(uri, cv2.CAP_FFMPEG, timeouts)  # type: ignore[no-any-return]

    advice = "check address, user and password, and that the camera can be reached from here"
    return CameraConfig(redact_password(uri), open_capture, PixelFormat.BGR, advice)


def redact_password(uri: str) -> str:
    """Return the address as it may be shown and stored."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()

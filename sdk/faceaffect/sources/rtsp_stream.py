"""A network camera: `rtsp://user:password@host/path`, through FFmpeg over TCP."""

from __future__ import annotations

from urllib.parse import urlsplit

from faceaffect.sources.camera_source import CameraConfig, Capture
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.source import SourceError
from faceaffect.types import PixelFormat

_TIMEOUT_MS = 5000  # OpenCV waits 30 s by default, longer than a user believes in


def rtsp_stream(uri: str) -> CameraConfig:
    if not urlsplit(uri).hostname:
        raise SourceError(
            f"{redact_password(uri)}: a stream is named rtsp://host/path, this one has no host"
        )

    def open_capture() -> Capture:
        cv2 = import_opencv()
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            _TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            _TIMEOUT_MS,
        ]
        return cv2.VideoCapture(uri, cv2.CAP_FFMPEG, limits)  # type: ignore[no-any-return]

    advice = "check address, user and password, and that the camera can be reached from here"
    return CameraConfig(redact_password(uri), open_capture, PixelFormat.BGR, advice)


def redact_password(uri: str) -> str:
    """The address as it may be shown and stored."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()

"""Streams of the network through FFmpeg: `rtsp(s)://user:password@host/path` and `http(s)://`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.capture import (
    CAP_PROP_FPS,
    CAP_PROP_FRAME_HEIGHT,
    CAP_PROP_FRAME_WIDTH,
    Capture,
)
from faceaffect.sources.display_filter import DecodedFrame
from faceaffect.sources.media_container import choose_video_stream, open_address
from faceaffect.sources.redact_password import redact_password
from faceaffect.sources.source import Source, SourceError, SourceOptions
from faceaffect.sources.video_decoder import VideoDecoder
from faceaffect.sources.video_file import VideoFile
from faceaffect.types import PixelFormat

# Low delay: no reordering buffer of the demuxer, and little to probe before the first frame.
_LIVE_SETTINGS: Final = {"fflags": "nobuffer", "flags": "low_delay"}
_RTSP_SETTINGS: Final = {**_LIVE_SETTINGS, "rtsp_transport": "tcp"}
_ADVICE: Final = "check address, user and password, and that the camera can be reached from here"


class NetworkCapture:
    """A live stream with the interface of `cv2.VideoCapture`."""

    def __init__(self, uri: str, settings: dict[str, str], container: Any = None) -> None:
        """Open `uri`, unless it is open as `container`; see `isOpened` for success."""
        self._name = redact_password(uri)
        self._container = container
        self._decoded_frames: Iterator[DecodedFrame] = iter(())
        self._first: DecodedFrame | None = None
        self._fps = 0.0
        try:
            if container is None:
                self._container = open_address(uri, self._name, SourceOptions(), settings)
            stream = choose_video_stream(self._container, None, self._name)
            decoder = VideoDecoder(self._container, stream, self._name, is_live=True)
            self._fps = decoder.fps or 0.0
            self._decoded_frames = decoder.frames()
            self._first = next(self._decoded_frames, None)
        except SourceError:
            self.release()

    def isOpened(self) -> bool:  # noqa: N802
        """Return whether there was a first frame."""
        return self._first is not None

    def read(self) -> tuple[bool, Any]:
        """Return whether there was a frame, and the `DecodedFrame`."""
        image = self._first if self._first is not None else next(self._decoded_frames, None)
        self._first = None
        return image is not None, image

    def get(self, prop: int, /) -> float:
        """Return a property, 0 if unknown."""
        if prop == CAP_PROP_FPS:
            return self._fps
        if self._first is None or prop not in (CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT):
            return 0.0
        return float(self._first.pixels.shape[1 if prop == CAP_PROP_FRAME_WIDTH else 0])

    def release(self) -> None:
        """Close the stream."""
        if self._container is not None:
            self._container.close()
        self._container = None
        self._decoded_frames = iter(())


def rtsp_stream(uri: str) -> CameraConfig:
    """Return the configuration of an RTSP stream, over TCP.

    Raises:
        SourceError: the address has no host.
    """
    _require_host(uri, "rtsp://host/path")

    def open_capture() -> Capture:
        return NetworkCapture(uri, _RTSP_SETTINGS)

    return CameraConfig(redact_password(uri), open_capture, PixelFormat.BGR, _ADVICE)


def open_http(uri: str, options: SourceOptions) -> Source:
    """Open a video that a web server holds, or the live stream of a camera.

    What has an end is read like a file, frame by frame; the rest is live.

    Raises:
        SourceError: it cannot be opened.
    """
    _require_host(uri, "http://host/path")
    name = redact_password(uri)
    container = open_address(uri, name, options)
    if container.duration is not None and container.size > 0:
        return VideoFile(name, options, container)
    opened: list[Any] = [container]

    def open_capture() -> Capture:
        return NetworkCapture(uri, _LIVE_SETTINGS, opened.pop() if opened else None)

    return CameraSource(CameraConfig(name, open_capture, PixelFormat.BGR, _ADVICE), options)


def _require_host(uri: str, example: str) -> None:
    if not urlsplit(uri).hostname:
        raise SourceError(
            f"{redact_password(uri)}: expected a stream such as {example}, got no host"
        )

"""Local camera: `0` or `v4l2:///dev/video0?width=1280&height=720&fps=30`."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from faceaffect.sources.camera_source import CameraConfig
from faceaffect.sources.capture import Capture
from faceaffect.sources.source import SourceError
from faceaffect.sources.uri_options import uri_options
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import PixelFormat


def v4l2_camera(uri: str) -> CameraConfig:
    """Return the configuration of a camera of the operating system.

    Raises:
        SourceError: the address is malformed.
    """
    path = urlsplit(uri).path
    if not uri.isdecimal() and not path.startswith("/dev/"):
        raise SourceError(
            f"{uri}: expected a camera such as 0, 1 or v4l2:///dev/video0, with three slashes"
        )
    device: int | str = int(uri) if uri.isdecimal() else path
    options = uri_options(uri, ("width", "height", "fps"))

    def open_capture() -> Capture:
        cv2 = import_opencv()
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if "width" in options or "height" in options:
            # Raw modes are slow above 640x480.
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        for name, prop in (
            ("width", cv2.CAP_PROP_FRAME_WIDTH),
            ("height", cv2.CAP_PROP_FRAME_HEIGHT),
            ("fps", cv2.CAP_PROP_FPS),
        ):
            if name in options:
                capture.set(prop, options[name])
        return capture  # type: ignore[no-any-return]

    advice = (
        "check that the camera is plugged in, that no other program uses it and that you may read "
        "/dev/video*"
    )
    return CameraConfig(uri, open_capture, PixelFormat.BGR, advice)

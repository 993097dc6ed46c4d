"""CSI (ribbon-cable) camera of a Jetson: `csi://0?width=1280&height=720&fps=30&flip=0`."""

from __future__ import annotations

from urllib.parse import urlsplit

from faceaffect.sources.camera_source import CameraConfig
from faceaffect.sources.capture import Capture
from faceaffect.sources.source import SourceError
from faceaffect.sources.uri_options import uri_options
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import PixelFormat


def csi_camera(uri: str) -> CameraConfig:
    """Return the configuration of a CSI camera.

    Raises:
        SourceError: the address is malformed.
    """
    pipeline = csi_pipeline(uri)

    def open_capture() -> Capture:
        cv2 = import_opencv()
        require_gstreamer(uri, cv2.getBuildInformation())
        return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)  # type: ignore[no-any-return]

    advice = (
        "check the ribbon cable and that `nvgstcapture-1.0` shows an image "
        "(if not, restart nvargus-daemon)"
    )
    return CameraConfig(uri, open_capture, PixelFormat.NV12, advice)


def csi_pipeline(uri: str) -> str:
    """Return the GStreamer pipeline of a CSI camera.

    It delivers NV12 as the image signal processor writes it, so the CPU never converts a frame.

    Raises:
        SourceError: the address is malformed.
    """
    sensor = urlsplit(uri).netloc or "0"
    if not sensor.isdecimal():
        raise SourceError(
            f"{uri}: expected a CSI camera such as csi://0 or csi://1, got {sensor!r}"
        )
    options = {"width": 1280, "height": 720, "fps": 30, "flip": 0}
    options.update(uri_options(uri, tuple(options)))
    if options["flip"] > 7 or 0 in (options["width"], options["height"], options["fps"]):
        raise SourceError(
            f"{uri}: expected width, height and fps above 0 and flip from 0 to 7, got {options}"
        )
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM), width={options['width']}, height={options['height']}, "
        f"framerate={options['fps']}/1, format=NV12 ! nvvidconv flip-method={options['flip']} ! "
        "video/x-raw, format=NV12 ! appsink drop=true max-buffers=1 sync=false"
    )


def require_gstreamer(uri: str, build_information: str) -> None:
    """Check that OpenCV was built with GStreamer.

    Args:
        uri: the source that needs it, for the message.
        build_information: text of `cv2.getBuildInformation`.

    Raises:
        SourceError: it was not.
    """
    if not any(
        "YES" in line
        for line in build_information.splitlines()
        if line.strip().startswith("GStreamer:")
    ):
        raise SourceError(
            f"{uri}: CSI cameras and NVIDIA decoders need an OpenCV built with GStreamer, this one "
            "is not (wheels from PyPI never are); on a Jetson use the OpenCV that JetPack installs "
            "(see `faceaffect doctor`)"
        )

"""Video through NVIDIA's hardware decoder: `nvdec:///clip.mp4` and `nvdec+rtsp://host/path`.

The decoder writes NV12 and the crop kernel reads NV12: no frame is converted. It needs an OpenCV
with GStreamer and NVIDIA's GStreamer plug-ins, as JetPack installs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

from faceaffect.sources.camera_source import CameraConfig
from faceaffect.sources.capture import (
    CAP_PROP_POS_MSEC,
    Capture,
    capture_fps,
    capture_size_px,
)
from faceaffect.sources.csi_camera import require_gstreamer
from faceaffect.sources.file_source import FileSource
from faceaffect.sources.network_stream import rtsp_stream
from faceaffect.sources.redact_password import redact_password
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.sources.stream_color import default_color
from faceaffect.system.import_opencv import import_opencv
from faceaffect.types import Frame, PixelFormat

SCHEME: Final = "nvdec"
STREAM_SCHEME: Final = "nvdec+rtsp"
_VIDEO_PAD: Final = "application/x-rtp, media=video"
"""Links the video of a camera, which without it may be the pad of its microphone."""

_DECODE_TO_NV12: Final = "parsebin ! nvv4l2decoder ! nvvidconv ! video/x-raw, format=NV12"


def nvdec_file_pipeline(path: Path) -> str:
    """Return the GStreamer pipeline of a file: every frame, as fast as it is fetched."""
    return (
        f"filesrc location={_quoted(str(path.absolute()))} ! {_DECODE_TO_NV12} ! "
        "appsink sync=false max-buffers=4 drop=false"
    )


def nvdec_stream_pipeline(uri: str) -> str:
    """Return the GStreamer pipeline of a stream: the newest frame."""
    return (
        f"rtspsrc location={_quoted(uri.partition('+')[2])} latency=0 protocols=tcp ! "
        f"{_VIDEO_PAD} ! {_DECODE_TO_NV12} ! appsink drop=true max-buffers=1 sync=false"
    )


def _quoted(text: str) -> str:
    """Quote for GStreamer's parser: a name must not become a part of the pipeline."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def nvdec_stream(uri: str) -> CameraConfig:
    """Return the configuration of an RTSP stream that the hardware decodes.

    Raises:
        SourceError: the address has no host.
    """
    config = rtsp_stream(uri.partition("+")[2])  # checks the address

    def open_capture() -> Capture:
        cv2 = import_opencv()
        require_gstreamer(redact_password(uri), cv2.getBuildInformation())
        pipeline = nvdec_stream_pipeline(uri)
        return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)  # type: ignore[no-any-return]

    advice = f"{config.advice}, and that `gst-inspect-1.0 nvv4l2decoder` finds the decoder"
    return CameraConfig(redact_password(uri), open_capture, PixelFormat.NV12, advice)


def _open_with_gstreamer(path: Path) -> Any:
    cv2 = import_opencv()
    require_gstreamer(f"{SCHEME}://{path}", cv2.getBuildInformation())
    return cv2.VideoCapture(nvdec_file_pipeline(path), cv2.CAP_GSTREAMER)


class NvdecVideo(FileSource):
    """Reads a file; one that changes size or starts late is better read as a plain file."""

    def __init__(
        self,
        uri: str,
        options: SourceOptions | None = None,
        open_capture: Callable[[Path], Any] = _open_with_gstreamer,
    ) -> None:
        """Open the file.

        Raises:
            SourceError: it does not exist, or the decoder refuses it.
        """
        super().__init__(uri, options or SourceOptions())
        path = Path(uri.partition("://")[2])
        if not path.is_file():
            raise SourceError(f"{uri}: no such file; expected nvdec:///folder/clip.mp4")
        self._capture = open_capture(path)
        if not self._capture.isOpened():
            raise SourceError(
                f"{uri}: the decoder refuses this file; check `gst-inspect-1.0 nvv4l2decoder`, or "
                "pass the path alone to decode on the CPU"
            )
        self.fps = capture_fps(self._capture)
        self.size_px = capture_size_px(self._capture)

    def _release(self) -> None:
        self._capture.release()

    def _decode(self) -> Generator[Frame, None, None]:
        index, time_s = 0, 0.0
        while True:
            ok, pixels = self._capture.read()
            if not ok:
                return
            container_s = self._capture.get(CAP_PROP_POS_MSEC) / 1000.0
            nominal_s = index / self.fps if self.fps else time_s
            time_s = max(time_s, container_s if container_s > 0 or index == 0 else nominal_s)
            if index >= self._options.start_frame:
                color = default_color(len(pixels) * 2 // 3)
                yield Frame(pixels, PixelFormat.NV12, time_s, index, self.name, color=color)
            index += 1

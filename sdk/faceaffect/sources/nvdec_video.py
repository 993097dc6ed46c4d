"""Video through the decoder of an NVIDIA chip: `nvdec:///clip.mp4` and `nvdec+rtsp://host/path`,
NV12 all the way.

The decoder writes NV12 and the crop kernel reads it: no frame is converted. It needs an OpenCV
with GStreamer and NVIDIA's GStreamer plug-ins, as JetPack installs them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from faceaffect.sources.camera_source import CameraConfig, Capture
from faceaffect.sources.csi_camera import require_gstreamer
from faceaffect.sources.file_source import FileSource
from faceaffect.sources.import_opencv import import_opencv
from faceaffect.sources.rtsp_stream import redact_password, rtsp_stream
from faceaffect.sources.source import SourceError, SourceOptions
from faceaffect.types import Frame, PixelFormat

SCHEME, STREAM_SCHEME = "nvdec", "nvdec+rtsp"
_TO_NV12 = "nvvidconv ! video/x-raw, format=NV12"


def nvdec_file_pipeline(path: Path) -> str:
    """The GStreamer description of a file: every frame, as fast as it is fetched."""
    location = _quoted(str(path.absolute()))
    return f"filesrc location={location} ! parsebin ! nvv4l2decoder ! {_TO_NV12} ! appsink sync=false max-buffers=4 drop=false"


def nvdec_stream_pipeline(uri: str) -> str:
    """The GStreamer description of a stream: the newest frame."""
    location = _quoted(uri.partition("+")[2])
    return (
        f"rtspsrc location={location} latency=0 protocols=tcp ! parsebin ! nvv4l2decoder ! {_TO_NV12} ! "
        "appsink drop=true max-buffers=1 sync=false"
    )


def _quoted(text: str) -> str:
    """As GStreamer's own parser reads it: nothing that a user names may become a part of the
    pipeline.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def nvdec_stream(uri: str) -> CameraConfig:
    kind = rtsp_stream(uri.partition("+")[2])  # checks the address

    def open_capture() -> Capture:
        cv2 = import_opencv()
        require_gstreamer(redact_password(uri), cv2.getBuildInformation())
        return cv2.VideoCapture(nvdec_stream_pipeline(uri), cv2.CAP_GSTREAMER)  # type: ignore[no-any-return]

    advice = f"{kind.advice}, and that `gst-inspect-1.0 nvv4l2decoder` finds the decoder"
    return CameraConfig(redact_password(uri), open_capture, PixelFormat.NV12, advice)


def _open_with_gstreamer(path: Path) -> Any:
    cv2 = import_opencv()
    require_gstreamer(f"{SCHEME}://{path}", cv2.getBuildInformation())
    return cv2.VideoCapture(nvdec_file_pipeline(path), cv2.CAP_GSTREAMER)


class NvdecVideo(FileSource):
    """The frames of a file; for streams that change size or start late, use the file itself."""

    def __init__(
        self,
        uri: str,
        options: SourceOptions | None = None,
        open_capture: Callable[[Path], Any] = _open_with_gstreamer,
    ) -> None:
        super().__init__(uri, options or SourceOptions())
        path = Path(uri.partition("://")[2])
        if not path.is_file():
            raise SourceError(f"{uri}: no such file; a video is named nvdec:///folder/clip.mp4")
        self._capture = open_capture(path)
        if not self._capture.isOpened():
            raise SourceError(
                f"{uri}: the decoder does not take this file; check `gst-inspect-1.0 nvv4l2decoder`, or give the path alone "
                "to decode on the CPU"
            )
        fps = self._capture.get(5)  # CAP_PROP_FPS
        self.fps = fps if 0 < fps < 1000 else None
        width_px, height_px = int(self._capture.get(3)), int(self._capture.get(4))
        self.size_px = (width_px, height_px) if width_px > 0 and height_px > 0 else None

    def _release(self) -> None:
        self._capture.release()

    def _decode(self) -> Generator[Frame, None, None]:
        index, before_s = 0, 0.0
        while True:
            ok, pixels = self._capture.read()
            if not ok:
                return
            told_s = self._capture.get(0) / 1000.0  # CAP_PROP_POS_MSEC
            counted_s = index / self.fps if self.fps else before_s
            before_s = max(before_s, told_s if told_s > 0 or index == 0 else counted_s)
            if index >= self._options.start_frame:
                yield Frame(pixels, PixelFormat.NV12, before_s, index, self.name)
            index += 1

"""From what the user wrote to the source that reads it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.csi_camera import csi_camera
from faceaffect.sources.image_files import UNSUPPORTED_SUFFIXES, ImageFiles, is_glob, is_image
from faceaffect.sources.natural_sort import natural_sort_key
from faceaffect.sources.nvdec_video import SCHEME, STREAM_SCHEME, NvdecVideo, nvdec_stream
from faceaffect.sources.rtsp_stream import rtsp_stream
from faceaffect.sources.source import Source, SourceError, SourceOptions
from faceaffect.sources.v4l2_camera import v4l2_camera
from faceaffect.sources.video_file import VideoFile

LIVE_SCHEMES: Final[dict[str, Callable[[str], CameraConfig]]] = {
    "v4l2": v4l2_camera,
    "rtsp": rtsp_stream,
    "csi": csi_camera,
    STREAM_SCHEME: nvdec_stream,
}

_WANTED = "a video file, an image, a folder, a pattern, 0, v4l2:///dev/video0, rtsp://host/path, csi://0 or nvdec:///clip.mp4"


def open_source(uri: str | Path, options: SourceOptions | None = None) -> Source:
    """Open a video file, image, folder or pattern of images, camera or stream; raises SourceError."""
    text = str(uri)
    if text.isdecimal() and not Path(text).exists():
        return CameraSource(v4l2_camera(text), options)
    scheme, found, rest = text.partition("://")
    if scheme == SCHEME and found:
        return NvdecVideo(text, options)
    if found and scheme != "file":
        if scheme not in LIVE_SCHEMES:
            raise SourceError(f"{text}: wanted {_WANTED}, got the unknown scheme {scheme}://")
        return CameraSource(LIVE_SCHEMES[scheme](text), options)
    path = Path(rest if found else text)
    if path.is_dir() or is_image(path) or (is_glob(str(path)) and not path.exists()):
        return ImageFiles(path, options)
    if path.suffix.lower() in UNSUPPORTED_SUFFIXES and path.is_file():
        raise SourceError(
            f"{text}: an image that OpenCV can read was wanted, it cannot read {path.suffix}; convert it to .jpg or .png"
        )
    return VideoFile(path, options)


def is_live(uri: str) -> bool:
    return (uri.isdecimal() and not Path(uri).exists()) or uri.partition("://")[0] in LIVE_SCHEMES


def expand_sources(uris: Iterable[str]) -> list[str]:
    """Patterns that match videos as one source per video, everything else as it is; each source
    once.

    Images of one pattern stay together as one source.
    """
    expanded: list[str] = []
    for uri in uris:
        matches: list[Path] = []
        if is_glob(uri) and "://" not in uri and not Path(uri).exists():
            matches = sorted(
                (Path(match) for match in glob.glob(uri, recursive=True)), key=natural_sort_key
            )
        if matches and not any(is_image(match) for match in matches):
            expanded.extend(str(match) for match in matches)
        else:
            expanded.append(uri)
    return list(dict.fromkeys(expanded))

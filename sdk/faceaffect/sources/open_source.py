"""Opens the source that an address asks for."""

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

_EXPECTED: Final = (
    "a video file, an image, a folder, a pattern, 0, v4l2:///dev/video0, rtsp://host/path, csi://0 "
    "or nvdec:///clip.mp4"
)


def open_source(uri: str | Path, options: SourceOptions | None = None) -> Source:
    """Open a source of frames.

    Args:
        uri: a video file, an image, a folder or pattern of images, a camera (`0`,
            `v4l2:///dev/video0`, `csi://0`) or a stream (`rtsp://host/path`).
        options: how to read it.

    Raises:
        SourceError: it cannot be opened.
    """
    text = str(uri)
    if text.isdecimal() and not Path(text).exists():
        return CameraSource(v4l2_camera(text), options)
    scheme, separator, rest = text.partition("://")
    if scheme == SCHEME and separator:
        return NvdecVideo(text, options)
    if separator and scheme != "file":
        if scheme not in LIVE_SCHEMES:
            raise SourceError(f"{text}: expected {_EXPECTED}, got the unknown scheme {scheme}://")
        return CameraSource(LIVE_SCHEMES[scheme](text), options)
    path = Path(rest if separator else text)
    if path.is_dir() or is_image(path) or (is_glob(str(path)) and not path.exists()):
        return ImageFiles(path, options)
    if path.suffix.lower() in UNSUPPORTED_SUFFIXES and path.is_file():
        raise SourceError(
            f"{text}: expected an image that OpenCV can read, got {path.suffix}; "
            "convert it to .jpg or .png"
        )
    return VideoFile(path, options)


def is_live(uri: str) -> bool:
    """Return whether an address is that of a camera or stream."""
    return (uri.isdecimal() and not Path(uri).exists()) or uri.partition("://")[0] in LIVE_SCHEMES


def expand_sources(uris: Iterable[str]) -> list[str]:
    """Expand the patterns that match videos to one source per video.

    Other addresses, patterns of images included, stay one source. Duplicates are removed.
    """
    expanded: list[str] = []
    for uri in uris:
        matches: list[Path] = []
        if is_glob(uri) and "://" not in uri and not Path(uri).exists():
            matches = sorted(map(Path, glob.glob(uri, recursive=True)), key=natural_sort_key)
        if matches and not any(is_image(match) for match in matches):
            expanded.extend(str(match) for match in matches)
        else:
            expanded.append(uri)
    return list(dict.fromkeys(expanded))

"""Opens the source that an address asks for."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from faceaffect.sources.animated_image import (
    AnimatedImage,
    can_read_animations,
    is_animated_png,
    is_animated_webp,
    page_count,
)
from faceaffect.sources.camera_source import CameraConfig, CameraSource
from faceaffect.sources.csi_camera import csi_camera
from faceaffect.sources.file_kind import FileKind, has_video_name, probe_file
from faceaffect.sources.image_files import UNSUPPORTED_SUFFIXES, ImageFiles, is_image
from faceaffect.sources.network_stream import open_http, rtsp_stream
from faceaffect.sources.nvdec_video import SCHEME, STREAM_SCHEME, NvdecVideo, nvdec_stream
from faceaffect.sources.path_checks import exists, file_mode
from faceaffect.sources.patterns import expand_pattern, is_glob
from faceaffect.sources.source import Source, SourceError, SourceOptions
from faceaffect.sources.v4l2_camera import v4l2_camera
from faceaffect.sources.video_file import VideoFile, split_stream_option

LIVE_SCHEMES: Final[dict[str, Callable[[str], CameraConfig]]] = {
    "v4l2": v4l2_camera,
    "rtsp": rtsp_stream,
    "rtsps": rtsp_stream,
    "csi": csi_camera,
    STREAM_SCHEME: nvdec_stream,
}
WEB_SCHEMES: Final = ("http", "https")

_EXPECTED: Final = (
    "a video file, an image, a folder, a pattern, 0, v4l2:///dev/video0, rtsp://host/path, "
    "http://host/path, csi://0 or nvdec:///clip.mp4"
)


def split_scheme(text: str) -> tuple[str, str]:
    """Split an address into its scheme, in small letters, and the rest; no scheme for a path.

    What exists under this very name is a path, whatever it looks like.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or exists(Path(text)):
        return "", text
    return scheme.lower(), rest


def open_source(uri: str | Path, options: SourceOptions | None = None) -> Source:
    """Open a source of frames.

    Args:
        uri: a video file, FIFO or pipe, an image, a folder or pattern of images, a camera (`0`,
            `v4l2:///dev/video0`, `csi://0`) or a stream (`rtsp://host/path`, `http://host/path`).
        options: how to read it.

    Raises:
        SourceError: it cannot be opened.

    Examples:
        >>> import faceaffect as fa
        >>> with fa.open_source("clip.mp4") as source:
        ...     print(source.size_px, sum(1 for frame in source))
        (640, 360) 60
    """
    text = str(uri)
    options = options or SourceOptions()
    if text.isdecimal() and not exists(Path(text)):
        return CameraSource(v4l2_camera(text), options)
    scheme, rest = split_scheme(text)
    if scheme == SCHEME:
        return NvdecVideo(f"{scheme}://{rest}", options)
    if scheme in WEB_SCHEMES:
        return open_http(f"{scheme}://{rest}", options)
    if scheme in LIVE_SCHEMES:
        return CameraSource(LIVE_SCHEMES[scheme](f"{scheme}://{rest}"), options)
    if scheme not in ("", "file"):
        raise SourceError(f"{text}: expected {_EXPECTED}, got the unknown scheme {scheme}://")
    return _open_path(rest, options)


def _open_path(text: str, options: SourceOptions) -> Source:
    path = Path(text)
    if not exists(path):
        if split_stream_option(text)[1] is not None:
            return VideoFile(text, options)
        if is_glob(text):
            return ImageFiles(path, options)
    mode = file_mode(path, text)
    if stat.S_ISDIR(mode):
        return ImageFiles(path, options)
    if stat.S_ISCHR(mode) and str(path).startswith("/dev/video"):
        return CameraSource(v4l2_camera(f"v4l2://{path}"), options)
    if not stat.S_ISREG(mode):  # a FIFO or pipe can be opened once only
        return VideoFile(path, options)
    if path.suffix.lower() in UNSUPPORTED_SUFFIXES:
        raise SourceError(
            f"{text}: expected an image that OpenCV can read, got {path.suffix}; "
            "convert it to .jpg or .png"
        )
    if is_image(path):
        return _open_image(path, options)
    if not has_video_name(path.name) and probe_file(path) is FileKind.IMAGE:
        return ImageFiles(path, options)
    return VideoFile(path, options)


def _open_image(path: Path, options: SourceOptions) -> Source:
    """Open an image file, as a sequence if it holds several images."""
    if is_animated_png(path):
        return VideoFile(path, options)
    if page_count(path) > 1:
        return AnimatedImage(path, options)
    is_animated = is_animated_webp(path)
    if is_animated and can_read_animations():
        return AnimatedImage(path, options)
    source = ImageFiles(path, options)
    if is_animated:
        source.notes.append(
            f"{path}: only the first image of this animation is read, because OpenCV is older than "
            "4.11; convert it to .mp4 or .gif"
        )
    return source


def is_live(uri: str) -> bool:
    """Return whether an address is that of a camera or stream.

    An address of the web is one unless it names a video file.
    """
    if uri.isdecimal() and not exists(Path(uri)):
        return True
    scheme, rest = split_scheme(uri)
    if scheme in WEB_SCHEMES:
        name = PurePosixPath(rest.partition("?")[0].partition("#")[0]).name
        return not has_video_name(name) or name.lower().endswith((".mjpg", ".mjpeg"))
    return scheme in LIVE_SCHEMES


def expand_sources(uris: Iterable[str]) -> list[str]:
    """Expand the patterns that match videos to one source per video.

    Other addresses, patterns of images included, stay one source. Duplicates are removed.
    """
    expanded: list[str] = []
    for uri in uris:
        matches: list[Path] = []
        if is_glob(uri) and not split_scheme(uri)[0] and not exists(Path(uri)):
            matches = expand_pattern(Path(uri))
        if matches and not any(is_image(match) for match in matches):
            expanded.extend(str(match) for match in matches)
        else:
            expanded.append(uri)
    return list(dict.fromkeys(expanded))

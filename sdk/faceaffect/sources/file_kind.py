"""Tells videos and images from other files: by name where that is clear, else by content."""

from __future__ import annotations

from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Final

from faceaffect.sources.image_files import is_image
from faceaffect.sources.media_container import choose_video_stream, open_file
from faceaffect.sources.source import SourceError, SourceOptions

VIDEO_SUFFIXES: Final = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "h264", "h265", "hevc"),
        *("m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("mxf", "ogm", "ogv", "qt", "ts", "vob", "webm", "wmv", "y4m"),
    )
)
_HEAD_BYTES: Final = 4096
_TEXT_CONTROLS: Final = frozenset(b"\t\n\r\f\x1b")


class FileKind(Enum):
    """What a file is."""

    VIDEO = "video"
    IMAGE = "image"
    OTHER = "other"


def has_video_name(path: str) -> bool:
    """Return whether a path has the suffix of a video."""
    return PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES


def file_kind(path: Path) -> FileKind:
    """Return the kind of a regular file; content decides where the name says nothing."""
    if is_image(path):
        return FileKind.IMAGE
    return FileKind.VIDEO if has_video_name(path.name) else probe_file(path)


def probe_file(path: Path) -> FileKind:
    """Return the kind of a regular file by its content: a frame can be decoded, or not."""
    from faceaffect.sources.video_file import VideoFile

    try:
        with path.open("rb") as stream:
            if _is_text(stream.read(_HEAD_BYTES)):
                return FileKind.OTHER
        container = open_file(path, SourceOptions())
        try:
            choose_video_stream(container, None, str(path))
            name = container.format.name
        finally:
            container.close()
        if name.endswith("_pipe") or name == "image2":
            return FileKind.IMAGE
        VideoFile(path).close()
    except (OSError, SourceError):
        return FileKind.OTHER
    return FileKind.VIDEO


def _is_text(head: bytes) -> bool:
    """Return whether a file begins like text: most of what lies beside videos does."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end < len(head):  # else a character was cut
            return False
    return all(byte >= 32 or byte in _TEXT_CONTROLS for byte in head)

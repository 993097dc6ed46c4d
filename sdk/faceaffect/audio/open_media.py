"""Opens media files with PyAV, to read audio and time stamps.

Not with a reader of audio files: the audio of Aff-Wild2 is inside .mp4 and .avi files, and only the
container's time stamps say when a frame is presented and when the audio starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faceaffect.errors import FaceAffectError
from faceaffect.sources.import_pyav import import_pyav


class UnreadableMediaError(FaceAffectError, ValueError):
    """A file that cannot be opened as video or audio, or ends before its first frame."""


class NoAudioTrackError(FaceAffectError, ValueError):
    """A video without an audio track."""


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """Open the container of a file.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableMediaError: the file cannot be opened, or read inside the `with` block.
    """
    av = import_pyav()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with av.open(f"file:{path.absolute()}") as container:
            yield container
    except av.FFmpegError as error:
        raise UnreadableMediaError(
            f"{path} cannot be read as video or audio ({error.strerror or error})"
        ) from None

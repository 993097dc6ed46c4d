"""Opens media files with PyAV, to read audio and time stamps.

PyAV rather than a reader of audio files: the audio of Aff-Wild2 is inside .mp4 and .avi files, and
only the container's time stamps say when a frame is presented and when the audio starts. It reads
.wav and .flac as well, and its wheels include the decoders, so that no program must be installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from faceaffect.errors import FaceAffectError


class UnreadableMediaError(FaceAffectError, ValueError):
    """A file that cannot be opened as video or audio, or ends before its first frame."""


class NoAudioTrackError(FaceAffectError, ValueError):
    """A video without an audio track."""


def require_pyav() -> ModuleType:
    """Import PyAV, with its log switched off: the errors of this package say what is wrong.

    Raises:
        ImportError: PyAV cannot be imported.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"audio and time stamps are read with PyAV, which cannot be imported ({error}); "
            'pip install "faceaffect[audio]", or go without audio'
        ) from None
    av.logging.set_level(av.logging.PANIC)
    module: ModuleType = av
    return module


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """Open the container of a file.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableMediaError: the file cannot be opened, or read inside the `with` block.
    """
    av = require_pyav()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        raise UnreadableMediaError(
            f"{path} cannot be read as video or audio ({error.strerror or error})"
        ) from None

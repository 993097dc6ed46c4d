"""The one door to PyAV, which reads audio and time stamps.

PyAV rather than a reader of audio files alone: the audio of Aff-Wild2 is inside .mp4 and .avi
files, and only the container's own time stamps say when a frame is shown and when the audio
starts. It reads .wav and .flac as well, and its wheels bring their decoders along, so no program
must be installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any


class UnreadableMediaError(ValueError):
    """A file that is no video or audio, is cut short before its first frame, or cannot be opened."""


class NoAudioTrackError(ValueError):
    """A video without an audio track."""


def require_pyav() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f'audio and time stamps are read with PyAV, which cannot be used ({error}): pip install "faceaffect[audio]", '
            "or go without audio"
        ) from None
    av.logging.set_level(av.logging.PANIC)  # what is wrong with a file is said by our errors, once
    module: ModuleType = av
    return module


@contextmanager
def open_media(path: Path) -> Iterator[Any]:
    """The open container of a file; every error of reading inside the block becomes
    UnreadableMediaError.
    """
    av = require_pyav()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        raise UnreadableMediaError(
            f"{path} cannot be read as video or audio ({error.strerror or error})"
        ) from None

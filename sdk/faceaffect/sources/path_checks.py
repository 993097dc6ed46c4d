"""Checks of paths that hold for names of any length and bytes, and without permission."""

from __future__ import annotations

import stat
from pathlib import Path

from faceaffect.sources.source import SourceError


def exists(path: Path) -> bool:
    """Return whether a path can be seen; False for one that is too long or without permission."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def file_mode(path: Path, shown: str) -> int:
    """Return the mode of a file, following links.

    Raises:
        SourceError: it is missing or cannot be reached.
    """
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        hint = "the link leads nowhere" if path.is_symlink() else "check the path"
        raise SourceError(f"{shown}: no such file; {hint}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(
            f"{shown}: cannot be read ({reason}); check path and permission"
        ) from None


def is_pipe(mode: int) -> bool:
    """Return whether a mode is that of a FIFO, a pipe or a socket."""
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

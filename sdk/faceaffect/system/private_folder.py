"""Folders and files that only this user can change, for caches whose content is executed."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

from faceaffect.system.regular_file import RegularFileError, open_regular, read_limited

_PRIVATE_MODE: Final = 0o700
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_HAS_OWNERS: Final = sys.platform != "win32"  # there the profile's access lists protect it


def make_private_folder(folder: Path) -> None:
    """Create a folder of mode 0700, or take the rights of others from one of ours.

    Raises:
        OSError: It cannot be created, or is another user's or a link.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=_PRIVATE_MODE, exist_ok=True)
    if not _HAS_OWNERS:
        return
    status = os.lstat(folder)
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if is_ours and status.st_mode & 0o077:
        os.chmod(folder, _PRIVATE_MODE)
    check_private_folder(folder)


def check_private_folder(folder: Path) -> None:
    """Raise OSError unless only this user, or root, can change the names in a folder."""
    if not _HAS_OWNERS:
        return
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise RegularFileError(f"{folder}: expected a folder, got a link or a file")
    _check_owner(status, str(folder))
    parent_mode = os.stat(folder.parent).st_mode
    # A group of one's own (umask 002) may write; everybody may only where names are kept apart.
    if parent_mode & stat.S_IWOTH and not parent_mode & stat.S_ISVTX:
        raise RegularFileError(f"{folder.parent}: expected a folder that not everybody can write")


def read_private_file(path: Path, max_bytes: int) -> bytes:
    """Content of a plain file that only this user, or root, can change; raises OSError."""
    with open_regular(path) as stream:
        if _HAS_OWNERS:
            _check_owner(os.fstat(stream.fileno()), str(path))
        return read_limited(stream, max_bytes)


def _check_owner(status: os.stat_result, name: str) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise RegularFileError(f"{name}: expected a file of this user, got one of another")
    if status.st_mode & _OTHERS_WRITE:
        raise RegularFileError(
            f"{name}: expected a file that only this user can write; run `chmod go-w` on it, or "
            "choose another folder"
        )

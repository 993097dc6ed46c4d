"""Files that survive a power cut and are never written through a planted link."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NON_BLOCKING: Final = getattr(os, "O_NONBLOCK", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)
_UNSUPPORTED: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; no-op where folders cannot be synced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    descriptor = os.open(path, os.O_RDWR | _NO_FOLLOW | _BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Replace `path` atomically and durably by what `write` writes to a temporary file.

    The temporary file has a random name in the same folder and exists, empty, when `write` gets
    it. A link at `path` is replaced, not followed.

    Raises:
        OSError: The file cannot be written; `path` is unchanged.
    """
    partial = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _BINARY
    os.close(os.open(partial, flags, 0o666))
    try:
        write(partial)
        sync_file(partial)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)  # frees the bytes it took on a full disk
        raise
    sync_folder(path.absolute().parent)


def write_file(path: Path, content: bytes) -> None:
    """Replace `path` atomically and durably by `content`; see `replace_file`."""

    def write(partial: Path) -> None:
        partial.write_bytes(content)

    replace_file(path, write)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `replace_file` that a killed process left beside `path`."""
    for leftover in path.absolute().parent.glob(f"{_prefix(path)}*.tmp"):
        with suppress(OSError):
            leftover.unlink()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading: no link, FIFO or device.

    Raises:
        OSError: It is none, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW | _NON_BLOCKING | _BINARY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "expected a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def _prefix(path: Path) -> str:
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]
    return f".faceaffect-{digest}-"

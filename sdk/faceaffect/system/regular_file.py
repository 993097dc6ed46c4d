"""Reads plain files only, within a limit, through one descriptor.

A model folder or an image that somebody else made may hold links, pipes and devices: a pipe blocks
for ever, `/dev/zero` fills the memory, and a link shows another file than the one that was named.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from faceaffect.errors import FaceAffectError

_BLOCK_BYTES: Final = 1 << 20


class RegularFileError(FaceAffectError, OSError):
    """A path that is no plain file, or a larger one than expected."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.strerror = message


def open_regular(path: Path | str, *, follows_links: bool = False) -> BinaryIO:
    """Open a plain file for reading; never blocks on a pipe.

    Args:
        path: The file.
        follows_links: Whether `path` itself may be a symbolic link, as for files that the user
            names. Files inside a bundle or a cache may not.

    Raises:
        RegularFileError: The path is a link, a pipe, a device or a folder.
        OSError: The file is missing or cannot be read.
    """
    if not follows_links and os.path.islink(path):
        raise RegularFileError("expected a plain file, got a symbolic link")
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    if not follows_links:  # the check above is for its words; this one has no gap
        flags |= getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise RegularFileError(f"expected a plain file, got a {_kind(mode)}")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path | str, max_bytes: int, *, follows_links: bool = False) -> bytes:
    """Content of a plain file of at most `max_bytes`; raises as `open_regular`."""
    with open_regular(path, follows_links=follows_links) as stream:
        return read_limited(stream, max_bytes)


def read_limited(stream: BinaryIO, max_bytes: int) -> bytes:
    """Rest of a stream from `open_regular`; raises RegularFileError beyond `max_bytes`."""
    size = os.fstat(stream.fileno()).st_size
    content = stream.read(max_bytes + 1) if size <= max_bytes else b""
    if size > max_bytes or len(content) > max_bytes:  # the file may have grown since
        raise RegularFileError(f"expected at most {max_bytes} bytes, got {max(size, len(content))}")
    return content


def copy_regular(source: Path | str, target: Path, max_bytes: int) -> int:
    """Copy a plain file of at most `max_bytes` to a new file; returns its size in bytes.

    Raises:
        RegularFileError: See `open_regular`; nothing is left at `target`.
    """
    copied = 0
    try:
        with open_regular(source) as reader, target.open("wb") as writer:
            while block := reader.read(_BLOCK_BYTES):
                copied += len(block)
                if copied > max_bytes:
                    raise RegularFileError(f"expected at most {max_bytes} bytes, got more")
                writer.write(block)
    except RegularFileError:
        target.unlink(missing_ok=True)
        raise
    return copied


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "folder",
        stat.S_IFIFO: "named pipe",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")

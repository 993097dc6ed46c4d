"""A file of rows that one process writes at a time."""

from __future__ import annotations

import os
import stat
import warnings
import weakref
from pathlib import Path
from typing import Final

from faceaffect.sinks.sink import SinkError
from faceaffect.system.durable_file import sync_folder

_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_MAX_OPENS: Final = 100


class RowFile:
    """An open file of rows, locked against other writers until it is closed.

    A file that is dropped without `close` is closed with a ResourceWarning.
    """

    def __init__(self, path: Path, *, must_be_new: bool, follows_links: bool) -> None:
        """Open or create the file, without changing its content.

        Args:
            path: The file.
            must_be_new: Refuse an existing file.
            follows_links: Write to the target of a link; False for names that nobody chose.

        Raises:
            SinkError: It cannot be opened, or another run writes it.
        """
        self.path = path
        self._location = path.absolute()  # the process may change its folder
        self._descriptor = _open_locked(path, must_be_new, follows_links)
        self.is_regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        self._finalizer = weakref.finalize(self, _close_dropped, self._descriptor, str(path))

    @property
    def size_bytes(self) -> int:
        """Size of the file; 0 for a device."""
        return os.fstat(self._descriptor).st_size

    def read(self, start: int, end: int) -> bytes:
        """Read the bytes [start, end)."""
        return os.pread(self._descriptor, max(end - start, 0), start)

    def append(self, data: bytes) -> None:
        """Write `data` at the end; raises OSError, after which a part may be written."""
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[os.write(self._descriptor, unwritten) :]

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to `size_bytes` and continue there; no-op for a device."""
        if self.is_regular:
            os.ftruncate(self._descriptor, size_bytes)
            os.lseek(self._descriptor, size_bytes, os.SEEK_SET)

    def sync(self) -> None:
        """Make the rows durable."""
        if self.is_regular:
            os.fsync(self._descriptor)

    def sync_name(self) -> None:
        """Make the name of the file durable."""
        if self.is_regular:
            sync_folder(self._location.parent)

    def require_present(self) -> None:
        """Raise SinkError if the file was removed or replaced since it was opened."""
        if self.is_regular and not _is_at(self._descriptor, self._location):
            raise SinkError(
                f"{self.path}: was removed or replaced while it was written; its rows are lost:"
                " run again, and leave the file in place until the run ends"
            )

    def delete(self) -> None:
        """Delete the file, while it is still locked."""
        if self.is_regular and _is_at(self._descriptor, self._location):
            os.unlink(self._location)

    def close(self) -> None:
        """Close the file and release the lock."""
        if self._finalizer.detach() is not None:
            os.close(self._descriptor)


def _open_locked(path: Path, must_be_new: bool, follows_links: bool) -> int:
    flags = os.O_RDWR | os.O_CREAT | (0 if follows_links else _NO_FOLLOW)
    flags |= os.O_EXCL if must_be_new else 0
    for _ in range(_MAX_OPENS):
        try:
            descriptor = _open(path, flags)
        except OSError as error:
            raise SinkError(
                f"{path}: cannot be written ({error.strerror}); choose another --out"
            ) from None
        try:
            _lock(descriptor, path)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # deleted by its former writer before this one had the lock
    raise SinkError(f"{path}: is replaced again and again by other programs; choose another --out")


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o666)
    except PermissionError:  # a device or pipe that can only be written
        return os.open(path, flags & ~os.O_RDWR | os.O_WRONLY, 0o666)


def _lock(descriptor: int, path: Path) -> None:
    """Lock the file as long as it is open; no-op where file systems have no locks."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SinkError(
            f"{path}: another run is writing it; wait for it or choose another --out"
        ) from None
    except OSError:
        return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _close_dropped(descriptor: int, path: str) -> None:
    os.close(descriptor)
    warnings.warn(f"unclosed row sink {path}: call close()", ResourceWarning, stacklevel=2)

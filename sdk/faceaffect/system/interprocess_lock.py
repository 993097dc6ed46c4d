"""A lock between processes on a file; the system releases it however a process ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_lock(path: Path, on_wait: Callable[[Path], None] = lambda _: None) -> Iterator[None]:
    """Hold the lock of `path`, which is created; the file stays.

    Args:
        path: Lock file.
        on_wait: Called before waiting for another process.

    Raises:
        OSError: The file cannot be opened for writing.
    """
    with path.open("a+b") as file:
        if not _try_lock(file.fileno(), wait=False):
            on_wait(path)
            _try_lock(file.fileno(), wait=True)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int, *, wait: bool) -> bool:
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:  # LK_LOCK gives up after ten seconds
                if not wait:
                    return False
            else:
                return True
else:
    import fcntl

    def _try_lock(handle: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: the processes are not kept apart
            return True
        return True

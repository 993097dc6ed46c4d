"""How a run ends from outside."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

FAILURE, INTERRUPTED, TERMINATED = 1, 130, 143
"""Exit codes: an error, Ctrl-C, SIGTERM."""


class Stopped(BaseException):
    """SIGTERM, handled like Ctrl-C. Not an Exception: nothing on the way may swallow it."""


@contextmanager
def termination_raises() -> Iterator[None]:
    """SIGTERM raises `Stopped` in the block."""

    def stop(_signal: int, _stack: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

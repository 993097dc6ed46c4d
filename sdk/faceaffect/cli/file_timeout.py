"""Time limit of one input."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from faceaffect.sources.source import SourceError

_Item = TypeVar("_Item")
_REPEAT_S: Final = 1.0


def limit_time(items: Iterable[_Item], uri: str, timeout_s: float) -> Iterator[_Item]:
    """Iterate over the frames of an input for at most `timeout_s` seconds; 0 for no limit.

    It also ends the wait for a decoder that hangs. Only the main thread can set a limit.

    Raises:
        SourceError: The time is over.
    """
    return _limited(items, uri, timeout_s) if timeout_s else iter(items)


def _limited(items: Iterable[_Item], uri: str, timeout_s: float) -> Iterator[_Item]:
    is_waiting = False
    is_late = False

    def expire(_signal: int, _stack: object) -> None:
        nonlocal is_late
        is_late = True
        if is_waiting:
            raise _error(uri, timeout_s)

    previous = signal.signal(signal.SIGALRM, expire)
    # Repeated, for the moment between the check below and the wait.
    signal.setitimer(signal.ITIMER_REAL, timeout_s, _REPEAT_S)
    try:
        iterator = iter(items)
        while True:
            if is_late:
                raise _error(uri, timeout_s)
            is_waiting = True
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                is_waiting = False
            yield item
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _error(uri: str, timeout_s: float) -> SourceError:
    return SourceError(
        f"{uri}: took longer than --file-timeout {timeout_s:g} seconds; the rows so far are kept"
    )

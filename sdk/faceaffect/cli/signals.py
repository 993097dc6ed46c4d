"""Exit codes and SIGTERM handling of long runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

FAILURE: Final = 1
"""Exit code after an error, or if no input could be analyzed."""
PARTIAL: Final = 3
"""Exit code if some inputs were analyzed and others failed."""
INTERRUPTED: Final = 130
"""Exit code after Ctrl-C."""
TERMINATED: Final = 143
"""Exit code after SIGTERM."""


class Terminated(BaseException):
    """Raised by SIGTERM, as KeyboardInterrupt is by Ctrl-C.

    Not an Exception, so that no handler of errors swallows it.
    """


_RETRY_S: Final = 0.05
_received: Final[list[type[BaseException]]] = []


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM and KeyboardInterrupt on Ctrl-C inside the block.

    A signal during an import waits for its end: a module in C that is initialized by half may crash
    later. Other C code may turn either into an error of its own. What leaves the block is then what
    the signal raised; see also `raise_if_stopped`.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            timer = threading.Timer(_RETRY_S, os.kill, (os.getpid(), number))
            timer.daemon = True
            timer.start()
            return
        _received.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        raise _received[-1]

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    _received.clear()
    previous_handlers = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    except Exception:
        raise_if_stopped()
        raise
    finally:
        for number, handler in zip(numbers, previous_handlers, strict=True):
            signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def raise_if_stopped() -> None:
    """Raise what the last signal raised, for handlers of errors that it may have become."""
    if _received:
        raise _received[-1] from None

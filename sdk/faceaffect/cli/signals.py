"""Exit codes and SIGTERM handling of long runs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
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


_received: Final[list[type[BaseException]]] = []


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM and KeyboardInterrupt on Ctrl-C inside the block.

    Modules in C may turn either into an error of their own, such as an ImportError while they are
    imported. What leaves the block is then what the signal raised; see also `raise_if_stopped`.
    """

    def stop(number: int, _stack: object) -> None:
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


def raise_if_stopped() -> None:
    """Raise what the last signal raised, for handlers of errors that it may have become."""
    if _received:
        raise _received[-1] from None

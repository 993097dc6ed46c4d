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


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM inside the block."""

    def terminate(_signal: int, _stack: object) -> None:
        raise Terminated

    previous_handler = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous_handler)

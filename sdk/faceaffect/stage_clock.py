"""Where the time of a frame goes: wall time per stage, free when it is off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STAGES: Final[tuple[str, ...]] = ("follow", "detect", "crop", "network", "graph", "decode", "smooth")


class StageClock:
    """Adds up nanoseconds per stage between `begin` and `end`; `now` may be any clock in nanoseconds."""

    def __init__(self, enabled: bool = False, now: Callable[[], int] = time.perf_counter_ns) -> None:
        self.enabled = enabled
        self._now = now
        self._stage = STAGES[0]
        self._since = 0
        self.spent_ns = dict.fromkeys(STAGES, 0)

    def begin(self) -> None:
        """Start a frame."""
        if self.enabled:
            self.spent_ns = dict.fromkeys(STAGES, 0)
            self._stage, self._since = STAGES[0], self._now()

    def start(self, stage: str) -> str:
        """Book the time since the last call on the stage that ran, go on with `stage`; gives the one that ran."""
        previous = self._stage
        if self.enabled:
            now = self._now()
            self.spent_ns[previous] += now - self._since
            self._since = now
            self._stage = stage
        return previous

    def end(self) -> None:
        """Close the frame; `spent_ns` then holds it."""
        self.start(STAGES[0])

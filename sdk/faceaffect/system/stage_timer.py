"""Where the time of a frame goes, on one or several clocks at once; free when it is off."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

STAGES: Final[tuple[str, ...]] = (
    "follow",
    "detect",
    "crop",
    "network",
    "graph",
    "decode_heads",
    "smooth",
)


class Timer(Protocol):
    """A clock that is marked while a frame runs and read afterwards, so that a device need not be
    waited for.
    """

    @property
    def name(self) -> str: ...

    @property
    def mark(self) -> Callable[[], Any]:
        """Notes the present moment."""
        ...

    def intervals_ns(self, marks: Sequence[Any]) -> list[int]:
        """Nanoseconds between successive marks; one fewer than there are marks."""
        ...


@dataclass(frozen=True, slots=True)
class HostTimer:
    """A clock of the operating system, in nanoseconds."""

    name: str
    mark: Callable[[], int]

    def intervals_ns(self, marks: Sequence[int]) -> list[int]:
        return [after - before for before, after in pairwise(marks)]


WALL: Final = HostTimer("wall", time.perf_counter_ns)
CPU: Final = HostTimer("cpu", time.process_time_ns)  # all threads of the process


class StageTimer:
    """Adds up nanoseconds per timer and stage between `begin` and `end`; without timers it does
    nothing.
    """

    def __init__(self, *timers: Timer) -> None:
        self.enable(*timers)

    def enable(self, *timers: Timer) -> None:
        """Measure later frames with these timers; with none, no longer."""
        self._timers = timers
        self._stages = [STAGES[0]]
        self._marks: list[list[Any]] = [[] for _ in timers]
        self.elapsed_ns: dict[str, dict[str, int]] = {
            timer.name: dict.fromkeys(STAGES, 0) for timer in timers
        }

    def begin(self) -> None:
        """Start a frame."""
        if self._timers:
            self._stages = [STAGES[0]]
            self._marks = [[timer.mark()] for timer in self._timers]

    def enter(self, stage: str) -> str:
        """Book the time since the last call on the stage that ran, go on with `stage`; gives the
        one that ran.
        """
        previous = self._stages[-1]
        if self._timers:
            for timer, marks in zip(self._timers, self._marks, strict=True):
                marks.append(timer.mark())
            self._stages.append(stage)
        return previous

    def end(self) -> None:
        """Close the frame; `elapsed_ns` then holds it, by name of timer and stage."""
        if not self._timers:
            return
        self.enter(STAGES[0])
        for timer, marks in zip(self._timers, self._marks, strict=True):
            spent = dict.fromkeys(STAGES, 0)
            for stage, interval_ns in zip(self._stages, timer.intervals_ns(marks), strict=False):
                spent[stage] += interval_ns
            self.elapsed_ns[timer.name] = spent

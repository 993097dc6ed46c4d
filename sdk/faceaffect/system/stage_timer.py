"""Times the stages of a frame on one or several clocks; free when disabled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

STAGES: Final[tuple[str, ...]] = (
    "track",
    "detect",
    "crop",
    "network",
    "graph",
    "decode_heads",
    "smooth",
)


class Clock(Protocol):
    """A clock that is sampled while a frame runs and evaluated afterwards.

    Thus nobody waits for the events of a device.
    """

    @property
    def name(self) -> str:
        """Key of the clock in `StageTimer.elapsed_ns`."""
        ...

    @property
    def now(self) -> Callable[[], Any]:
        """Takes a time stamp, of any type."""
        ...

    def intervals_ns(self, stamps: Sequence[Any]) -> list[int]:
        """Nanoseconds between successive time stamps; one fewer than there are stamps."""
        ...


@dataclass(frozen=True, slots=True)
class HostClock:
    """A clock of the operating system, in nanoseconds."""

    name: str
    now: Callable[[], int]

    def intervals_ns(self, stamps: Sequence[int]) -> list[int]:
        """Nanoseconds between successive time stamps."""
        return [after - before for before, after in pairwise(stamps)]


WALL: Final = HostClock("wall", time.perf_counter_ns)
CPU: Final = HostClock("cpu", time.process_time_ns)  # all threads of the process


class StageTimer:
    """Sums nanoseconds per clock and stage between `begin` and `end`; no-op without clocks."""

    def __init__(self, *clocks: Clock) -> None:
        self.enable(*clocks)

    def enable(self, *clocks: Clock) -> None:
        """Time later frames with these clocks; with none, stop timing."""
        self._clocks = clocks
        self._stages = [STAGES[0]]
        self._stamps: list[list[Any]] = [[] for _ in clocks]
        self.elapsed_ns: dict[str, dict[str, int]] = {
            clock.name: dict.fromkeys(STAGES, 0) for clock in clocks
        }

    def begin(self) -> None:
        """Start a frame."""
        if self._clocks:
            self._stages = [STAGES[0]]
            self._stamps = [[clock.now()] for clock in self._clocks]

    def enter(self, stage: str) -> str:
        """End the current stage and start `stage`; returns the one that ended."""
        previous = self._stages[-1]
        if self._clocks:
            for clock, stamps in zip(self._clocks, self._stamps, strict=True):
                stamps.append(clock.now())
            self._stages.append(stage)
        return previous

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """Book the block on `stage`, then return to the stage before."""
        previous = self.enter(stage)
        try:
            yield
        finally:
            self.enter(previous)

    def end(self) -> None:
        """End the frame and store it in `elapsed_ns`, by clock and stage."""
        if not self._clocks:
            return
        self.enter(STAGES[0])
        for clock, stamps in zip(self._clocks, self._stamps, strict=True):
            elapsed_ns = dict.fromkeys(STAGES, 0)
            intervals_ns = clock.intervals_ns(stamps)
            for stage, interval_ns in zip(self._stages, intervals_ns, strict=False):
                elapsed_ns[stage] += interval_ns
            self.elapsed_ns[clock.name] = elapsed_ns

    def spans(self) -> list[tuple[str, Any, Any]]:
        """Return (stage, begin, end) of the last frame on the first clock, in time order."""
        stamps = self._stamps[0] if self._stamps else []
        return [
            (stage, begin, end)
            for stage, (begin, end) in zip(self._stages, pairwise(stamps), strict=False)
            if end > begin
        ]

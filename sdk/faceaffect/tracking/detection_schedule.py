"""Schedule of detector runs, predictable while no face appears or is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from faceaffect.types import DEFAULT_FRAME_INTERVAL_S


@dataclass(frozen=True, slots=True)
class DetectionSchedule:
    """Schedule of detector runs. Times are seconds of a `MonotonicClock`."""

    interval_s: float
    max_interval_s: float
    full_resolution_interval_s: float
    max_idle_interval_s: float
    last_run_s: float = -math.inf
    last_full_resolution_s: float = -math.inf
    idle_runs: int = 0
    has_tracks: bool = False
    has_room: bool = True  # for another track

    @property
    def has_run(self) -> bool:
        """Whether the detector ran in this source."""
        return self.last_run_s > -math.inf

    def should_detect(self, now_s: float) -> bool:
        """Whether the detector should run on the frame at `now_s`."""
        elapsed_s = now_s - self.last_run_s
        if self.has_tracks:
            return elapsed_s >= self.interval_s and self.has_room
        # Without tracks: every frame at first, then less often, but with no noticeable delay.
        return elapsed_s >= min(self.max_idle_interval_s, 0.02 * self.idle_runs)

    def full_resolution(self, now_s: float) -> bool:
        """Whether a run at `now_s` should find small faces, too."""
        if not self.has_tracks:
            return True
        return now_s - self.last_full_resolution_s >= self.full_resolution_interval_s

    def advance(self, now_s: float, full_resolution: bool) -> DetectionSchedule:
        """The schedule after a run at `now_s` that changed no track."""
        return replace(
            self,
            interval_s=min(2 * self.interval_s, self.max_interval_s),
            last_run_s=now_s,
            last_full_resolution_s=now_s if full_resolution else self.last_full_resolution_s,
            idle_runs=0 if self.has_tracks else self.idle_runs + 1,
        )


class MonotonicClock:
    """Source time made strictly increasing.

    Where the time stamps stall or jump back, it advances by one frame interval.
    """

    def __init__(self) -> None:
        self._now_s = -math.inf
        self._offset_s = 0.0

    def peek(self, time_s: float) -> float:
        """Time of a frame stamped `time_s`, regardless of the frame before it."""
        return time_s + self._offset_s

    def tick(self, time_s: float) -> float:
        """Time of the next frame, stamped `time_s`."""
        now_s = self.peek(time_s)
        if now_s <= self._now_s:
            self._offset_s += self._now_s + DEFAULT_FRAME_INTERVAL_S - now_s
            now_s = self._now_s + DEFAULT_FRAME_INTERVAL_S
        self._now_s = now_s
        return now_s

"""When the detector looks: known beforehand for as long as no face comes or goes and the image does
not cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from faceaffect.outputs.score_smoother import DEFAULT_STEP_S


@dataclass(frozen=True, slots=True)
class DetectionSchedule:
    """What is known of the last look, and by it of the next. Times are seconds of a
    `MonotonicClock`.
    """

    every_s: float
    longest_every_s: float
    detail_every_s: float
    max_idle_interval_s: float
    looked_s: float = -math.inf
    detailed_s: float = -math.inf
    idle_looks: int = 0
    is_held: bool = False  # whether any face is
    has_room: bool = True  # for a further one

    def is_due(self, now_s: float) -> bool:
        waited_s = now_s - self.looked_s
        if self.is_held:
            return waited_s >= self.every_s and self.has_room
        # Nobody is held: look at every frame first, then less often, but never so rarely that it
        # shows.
        return waited_s >= min(self.max_idle_interval_s, 0.02 * self.idle_looks)

    def in_detail(self, now_s: float) -> bool:
        """Whether a look now is for small faces, too."""
        return not self.is_held or now_s - self.detailed_s >= self.detail_every_s

    def after(self, now_s: float, in_detail: bool) -> DetectionSchedule:
        """The plan once a look has changed nothing."""
        return replace(
            self,
            every_s=min(2 * self.every_s, self.longest_every_s),
            looked_s=now_s,
            detailed_s=now_s if in_detail else self.detailed_s,
            idle_looks=0 if self.is_held else self.idle_looks + 1,
        )


class MonotonicClock:
    """A source's time that only goes forward: where it stands still or is set back it counts on by
    one frame.
    """

    def __init__(self) -> None:
        self._now_s = -math.inf
        self._ahead_s = 0.0

    def shown(self, time_s: float) -> float:
        """A frame's time without regard to the frame before it."""
        return time_s + self._ahead_s

    def read(self, time_s: float) -> float:
        """The time of the next frame."""
        now_s = self.shown(time_s)
        if now_s <= self._now_s:
            self._ahead_s += self._now_s + DEFAULT_STEP_S - now_s
            now_s = self._now_s + DEFAULT_STEP_S
        self._now_s = now_s
        return now_s

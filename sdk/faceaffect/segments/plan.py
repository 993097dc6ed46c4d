"""Which frames each process analyzes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from faceaffect.tracking.tracker import TrackerConfig

WARM_S: Final = TrackerConfig().lost_track_timeout_s
"""How early a stretch begins: as long as a lost face is remembered, which is longer than anything
else is.
"""

LONGEST_FRAMES: Final = 3000
"""What comes first is written first, so a run that is stopped loses what later stretches have
analyzed: not too much.
"""

_LEAST_WARM: Final = (
    3  # a stretch of less than so many times its early frames is not worth a process
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames [begin, end) of a video, analyzed from `warmup_start` on; the last one, whose `end` is
    None, to the video's end.
    """

    begin: int
    end: int | None
    warmup_start: int

    @property
    def warm_frames(self) -> int:
        return self.begin - self.warmup_start


def plan_segments(first: int, count: int, fps: float, jobs: int) -> list[Segment]:
    """Stretches of frames [first, count) for `jobs` processes, in order; each takes about as long
    as any other.

    Their number is a multiple of `jobs`, or less where the video is short; 1 says that it is not
    worth sharing out.
    """
    warm, total = math.ceil(WARM_S * fps), max(0, count - first)
    pieces = jobs * max(1, math.ceil(total / (jobs * LONGEST_FRAMES)))
    pieces = max(1, min(pieces, total // (_LEAST_WARM * warm)))
    each = (total + warm * (pieces - 1)) / pieces  # the first has no early frames
    begins = [first] + [first + round(each + (each - warm) * k) for k in range(pieces - 1)]
    ends: list[int | None] = [*begins[1:], None]
    return [
        Segment(b, e, b if k == 0 else b - warm)
        for k, (b, e) in enumerate(zip(begins, ends, strict=True))
    ]

"""Plans which frames each process analyzes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from faceaffect.tracking.tracker_config import TrackerConfig

WARMUP_S: Final = TrackerConfig().lost_track_timeout_s
"""Warm-up of a segment: as long as a lost face is remembered, which is the longest memory."""

MAX_SEGMENT_FRAMES: Final = 3000
"""Bounds what a stopped run loses: results of later segments wait for those of earlier ones."""

_MIN_WARMUPS: Final = 3  # a segment shorter than so many warm-ups is not worth a process


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames [begin, end) of a video, analyzed from `warmup_start` on.

    Attributes:
        begin: First frame of the output.
        end: Frame after the last one; None for the last segment, which runs to the video's end.
        warmup_start: First frame to analyze.
    """

    begin: int
    end: int | None
    warmup_start: int

    @property
    def warmup_frames(self) -> int:
        """Number of frames analyzed before `begin`."""
        return self.begin - self.warmup_start


def plan_segments(first: int, frame_count: int, fps: float, jobs: int) -> list[Segment]:
    """Split frames [first, frame_count) into segments of about equal cost, warm-up included.

    A first segment that does not begin with the video has a warm-up like the others.

    Returns:
        Segments in order: a multiple of `jobs`, fewer for a short video; a single one if splitting
        does not pay.
    """
    warmup = math.ceil(WARMUP_S * fps)
    total = max(0, frame_count - first)
    count = jobs * max(1, math.ceil(total / (jobs * MAX_SEGMENT_FRAMES)))
    count = max(1, min(count, total // (_MIN_WARMUPS * warmup)))
    first_warmup = min(first, warmup)
    cost = (total + first_warmup + warmup * (count - 1)) / count  # frames
    begins = [first] + [
        first + round(cost - first_warmup + (cost - warmup) * k) for k in range(count - 1)
    ]
    ends: list[int | None] = [*begins[1:], None]
    return [
        Segment(begin, end, max(0, begin - warmup))
        for k, (begin, end) in enumerate(zip(begins, ends, strict=True))
    ]

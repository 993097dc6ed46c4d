"""Looks of the detector before their frames' turn, in the thread that reads the source."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from faceaffect.detectors import Detections, Detector, look
from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock
from faceaffect.types import Frame


@dataclass(frozen=True, slots=True)
class _Look:
    index: int
    pixels: Any
    in_detail: bool
    outcome: Detections | Exception
    expected: DetectionSchedule  # of the looks after it, should it change nothing


class DetectionPrefetcher:
    """Runs `detector` on the frames that a follower is going to look at.

    `see` is for the thread that reads, `take` and `correct` for the one that follows. What was
    found counts for the same pixels and the same kind of look only, so that a plan that proves
    wrong costs time and changes no result.
    """

    def __init__(self, detector: Detector, plan: DetectionSchedule) -> None:
        """`plan` is the follower's; `detector` finds what the follower's own does, and is used by
        nobody else.
        """
        self._detector = detector
        self._plan = self._expected = plan
        self._clock = MonotonicClock()
        self._lock = threading.Lock()
        self._looks: deque[_Look] = deque()

    def see(self, frame: Frame) -> None:
        """Take the next frame of the source."""
        now_s = self._clock.read(frame.time_s)
        with self._lock:
            if not self._plan.is_due(now_s):
                return
            in_detail = self._plan.in_detail(now_s)
            self._plan = expected = self._plan.after(now_s, in_detail)
        try:
            outcome: Detections | Exception = look(self._detector, frame, in_detail)
        except Exception as error:  # raised where the frame is followed, as that of any look
            outcome = error
        self._looks.append(_Look(frame.index, frame.pixels, in_detail, outcome, expected))

    def take(self, frame: Frame, in_detail: bool) -> Detections | None:
        """What was found in `frame`, or None where nobody looked in this way. Raises what the look
        raised.
        """
        while self._looks and self._looks[0].index <= frame.index:
            ahead = self._looks.popleft()
            if ahead.pixels is frame.pixels and ahead.in_detail == in_detail:
                self._expected = ahead.expected
                if isinstance(ahead.outcome, Exception):
                    raise ahead.outcome
                return ahead.outcome
        return None

    def correct(self, plan: DetectionSchedule) -> None:
        """Go on from the plan that the follower has after a look, unless it is the one that was
        expected.
        """
        if plan != self._expected:
            with self._lock:
                self._plan = plan
        self._expected = plan

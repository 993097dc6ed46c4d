"""Prefetching of detections: runs the detector in the decoding thread, ahead of the tracker."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from faceaffect.detectors.detector import Detections, Detector
from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock
from faceaffect.types import Frame


@dataclass(frozen=True, slots=True)
class _DetectorRun:
    index: int
    pixels: Any
    full_resolution: bool
    outcome: Detections | Exception
    next_schedule: DetectionSchedule  # if the run changes no track


class DetectionPrefetcher:
    """Runs `detector` on the frames on which a tracker is expected to need it.

    `submit` is for the decoding thread, `pop` and `reschedule` are for the tracker's. A result is
    used only for the same pixels and resolution, so a wrong prediction costs time and changes no
    result.
    """

    def __init__(self, detector: Detector, schedule: DetectionSchedule) -> None:
        """Start from the tracker's schedule.

        Args:
            detector: Clone of the tracker's detector, used by nobody else.
            schedule: Of the tracker.
        """
        self._detector = detector
        self._schedule = schedule
        self._expected = schedule
        self._clock = MonotonicClock()
        self._lock = threading.Lock()
        self._runs: deque[_DetectorRun] = deque()

    def submit(self, frame: Frame) -> None:
        """Process the next frame of the source."""
        now_s = self._clock.tick(frame.time_s)
        with self._lock:
            if not self._schedule.should_detect(now_s):
                return
            full_resolution = self._schedule.full_resolution(now_s)
            self._schedule = schedule = self._schedule.advance(now_s, full_resolution)
        try:
            outcome: Detections | Exception = self._detector.detect(
                frame, full_resolution=full_resolution
            )
        except Exception as error:  # raised by `pop`, as if the tracker had run the detector
            outcome = error
        self._runs.append(
            _DetectorRun(frame.index, frame.pixels, full_resolution, outcome, schedule)
        )

    def pop(self, frame: Frame, full_resolution: bool) -> Detections | None:
        """Detections in `frame`, or None if the detector did not run on it at this resolution.

        Raises:
            Exception: Any error of the detector.
        """
        while self._runs and self._runs[0].index <= frame.index:
            run = self._runs.popleft()
            if run.pixels is frame.pixels and run.full_resolution == full_resolution:
                self._expected = run.next_schedule
                if isinstance(run.outcome, Exception):
                    raise run.outcome
                return run.outcome
        return None

    def reschedule(self, schedule: DetectionSchedule) -> None:
        """Continue with the tracker's schedule after a run, unless it is the expected one."""
        if schedule != self._expected:
            with self._lock:
                self._schedule = schedule
        self._expected = schedule

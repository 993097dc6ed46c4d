"""When the detector runs, and source time made monotonic."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock

INITIAL = DetectionSchedule(
    interval_s=0.25, max_interval_s=0.25, full_resolution_interval_s=1.2, max_idle_interval_s=0.25
)
TRACKING = DetectionSchedule(
    0.25, 0.25, 1.2, 0.25, last_run_s=0.0, last_full_resolution_s=0.0, has_tracks=True
)


def detector_runs(schedule: DetectionSchedule, frames: int, fps: float) -> list[tuple[int, bool]]:
    """Frames on which the detector runs, and whether at full resolution, if no track changes."""
    runs = []
    for index in range(1, frames):
        now_s = index / fps
        if schedule.should_detect(now_s):
            runs.append((index, schedule.full_resolution(now_s)))
            schedule = schedule.advance(now_s, runs[-1][1])
    return runs


def test_schedule_on_first_frame_detects_at_full_resolution() -> None:
    assert INITIAL.should_detect(0.0)
    assert INITIAL.full_resolution(0.0)


def test_schedule_while_tracking_follows_both_intervals() -> None:
    runs = detector_runs(TRACKING, 100, fps=32)
    assert [index for index, _ in runs] == list(range(8, 100, 8))
    assert [index for index, is_full in runs if is_full] == [40, 80], (
        "the first run at least 1.2 s after the last one at full resolution"
    )


def test_schedule_without_room_never_detects() -> None:
    assert (
        detector_runs(
            DetectionSchedule(0.25, 0.25, 1.2, 0.25, 0.0, 0.0, has_tracks=True, has_room=False),
            200,
            fps=32,
        )
        == []
    )


def test_schedule_with_slow_detector_doubles_interval() -> None:
    runs = detector_runs(
        DetectionSchedule(0.25, 1.0, 9.0, 0.25, 0.0, 0.0, has_tracks=True), 120, fps=32
    )
    assert [index for index, _ in runs] == [8, 24, 56, 88]


def test_schedule_without_tracks_detects_less_and_less_often() -> None:
    runs = detector_runs(INITIAL, 400, fps=50)
    gaps = [after[0] - before[0] for before, after in pairwise(runs)]
    assert all(is_full for _, is_full in runs)
    assert gaps[0] == 1
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(0.25 * 50, abs=1)


def test_clock_with_stalled_or_reversed_time_advances() -> None:
    clock = MonotonicClock()
    stamps = [0.0, 0.04, 0.04, 0.08, -5.0, -4.96]
    times = [clock.tick(time_s) for time_s in stamps]
    steps = [after - before for before, after in pairwise(times)]
    assert times[:2] == stamps[:2]
    assert min(steps) > 0
    assert max(steps) <= 0.05
    assert clock.peek(-9.0) < times[-1]
    assert math.isinf(INITIAL.last_run_s)

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from faceaffect.tracking.detection_schedule import DetectionSchedule, MonotonicClock

FIRST = DetectionSchedule(
    every_s=0.25, longest_every_s=0.25, detail_every_s=1.2, max_idle_interval_s=0.25
)
HELD = DetectionSchedule(0.25, 0.25, 1.2, 0.25, looked_s=0.0, detailed_s=0.0, is_held=True)


def looks(plan: DetectionSchedule, frames: int, fps: float) -> list[tuple[int, bool]]:
    """The frames that are looked at and whether in detail, nothing changing."""
    taken = []
    for index in range(1, frames):
        now_s = index / fps
        if plan.is_due(now_s):
            taken.append((index, plan.in_detail(now_s)))
            plan = plan.after(now_s, taken[-1][1])
    return taken


def test_the_first_frame_is_looked_at_in_detail() -> None:
    assert FIRST.is_due(0.0)
    assert FIRST.in_detail(0.0)


def test_a_held_face_leaves_a_look_each_quarter_second_and_detail_each_second() -> None:
    taken = looks(HELD, 100, fps=32)
    assert [index for index, _ in taken] == list(range(8, 100, 8))
    assert [index for index, in_detail in taken if in_detail] == [40, 80], (
        "the first look 1.2 s after the last in detail"
    )


def test_no_look_without_room() -> None:
    assert (
        looks(
            DetectionSchedule(0.25, 0.25, 1.2, 0.25, 0.0, 0.0, is_held=True, has_room=False),
            200,
            fps=32,
        )
        == []
    )


def test_a_dear_detector_looks_less_and_less_often() -> None:
    taken = looks(DetectionSchedule(0.25, 1.0, 9.0, 0.25, 0.0, 0.0, is_held=True), 120, fps=32)
    assert [index for index, _ in taken] == [8, 24, 56, 88]


def test_where_nobody_is_held_every_look_is_in_detail_and_they_grow_rare() -> None:
    taken = looks(FIRST, 400, fps=50)
    gaps = [after[0] - before[0] for before, after in pairwise(taken)]
    assert all(in_detail for _, in_detail in taken)
    assert gaps[0] == 1
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(0.25 * 50, abs=1)


def test_the_clock_counts_on_where_time_stands_still_or_goes_back() -> None:
    clock = MonotonicClock()
    given = [0.0, 0.04, 0.04, 0.08, -5.0, -4.96]
    read = [clock.read(time_s) for time_s in given]
    steps = [after - before for before, after in pairwise(read)]
    assert read[:2] == given[:2]
    assert min(steps) > 0
    assert max(steps) <= 0.05
    assert clock.shown(-9.0) < read[-1], "what is shown before it is read may lie back"
    assert math.isinf(FIRST.looked_s)

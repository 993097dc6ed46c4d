"""The stage clock books every nanosecond once, on the stage that ran."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faceaffect.stage_clock import STAGES, StageClock


def test_time_goes_to_the_stage_that_ran() -> None:
    ticks: Iterator[int] = iter([100, 107, 120, 150, 151])
    clock = StageClock(enabled=True, now=lambda: next(ticks))
    clock.begin()
    assert clock.start("detect") == "follow"
    assert clock.start("follow") == "detect"
    assert clock.start("graph") == "follow"
    clock.end()
    spent = {stage: ns for stage, ns in clock.spent_ns.items() if ns}
    assert spent == {"follow": 7 + 30, "detect": 13, "graph": 1}
    assert sum(clock.spent_ns.values()) == 151 - 100


def test_each_frame_begins_at_zero() -> None:
    ticks = iter(range(0, 1000, 10))
    clock = StageClock(enabled=True, now=lambda: next(ticks))
    for _ in range(3):
        clock.begin()
        clock.start("crop")
        clock.end()
    assert clock.spent_ns["crop"] == 10
    assert list(clock.spent_ns) == list(STAGES)


def test_off_it_reads_no_clock() -> None:
    clock = StageClock(now=lambda: pytest.fail("the clock was read"))
    clock.begin()
    clock.start("crop")
    clock.end()
    assert not any(clock.spent_ns.values())

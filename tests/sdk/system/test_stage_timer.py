"""The stage clock books every nanosecond once, on the stage that ran, for each of its timers."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from faceaffect.system.stage_timer import CPU, STAGES, WALL, HostClock, StageTimer


def ticking(name: str, ticks: Iterable[int]) -> HostClock:
    left = iter(ticks)
    return HostClock(name, lambda: next(left))


def test_time_goes_to_the_stage_that_ran() -> None:
    clock = StageTimer(ticking("wall", [100, 107, 120, 150, 151]), ticking("cpu", [0, 1, 3, 7, 15]))
    clock.begin()
    assert clock.enter("detect") == "track"
    assert clock.enter("track") == "detect"
    assert clock.enter("graph") == "track"
    clock.end()
    spent = {
        name: {stage: ns for stage, ns in stages.items() if ns}
        for name, stages in clock.elapsed_ns.items()
    }
    assert spent == {
        "wall": {"track": 7 + 30, "detect": 13, "graph": 1},
        "cpu": {"track": 1 + 4, "detect": 2, "graph": 8},
    }
    assert sum(clock.elapsed_ns["wall"].values()) == 151 - 100


def test_each_frame_begins_at_zero() -> None:
    clock = StageTimer(ticking("wall", range(0, 1000, 10)))
    for _ in range(3):
        clock.begin()
        clock.enter("crop")
        clock.end()
    assert clock.elapsed_ns["wall"]["crop"] == 10
    assert list(clock.elapsed_ns["wall"]) == list(STAGES)


def test_a_timer_is_read_only_when_the_frame_has_ended() -> None:
    class Device(HostClock):
        def intervals_ns(self, marks: object) -> list[int]:
            read.append(marks)
            return [1] * 2

    read: list[object] = []
    clock = StageTimer(Device("event", lambda: len(read)))
    clock.begin()
    clock.enter("crop")
    assert read == []
    clock.end()
    assert read == [[0, 0, 0]]
    assert clock.elapsed_ns["event"]["crop"] == 1


def test_a_stage_that_does_not_exist_is_an_error() -> None:
    clock = StageTimer(WALL)
    clock.begin()
    clock.enter("croup")
    clock.enter("crop")
    with pytest.raises(KeyError, match="croup"):
        clock.end()


def test_off_it_reads_no_clock() -> None:
    clock = StageTimer(HostClock("wall", lambda: pytest.fail("the clock was read")))
    clock.enable()
    clock.begin()
    clock.enter("crop")
    clock.end()
    assert clock.elapsed_ns == {}


def test_the_system_s_clocks_go_on() -> None:
    for timer in (WALL, CPU):
        marks = [timer.now() for _ in range(5)]
        assert all(interval >= 0 for interval in timer.intervals_ns(marks))
        assert sum(timer.intervals_ns(marks)) == marks[-1] - marks[0]

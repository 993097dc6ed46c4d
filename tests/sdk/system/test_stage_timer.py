"""StageTimer books every nanosecond once, on the stage that ran, for each clock."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from faceaffect.system.stage_timer import CPU, STAGES, WALL, HostClock, StageTimer


def fake_clock(name: str, ticks: Iterable[int]) -> HostClock:
    remaining = iter(ticks)
    return HostClock(name, lambda: next(remaining))


def test_timer_books_time_on_the_stage_that_ran() -> None:
    timer = StageTimer(
        fake_clock("wall", [100, 107, 120, 150, 151]), fake_clock("cpu", [0, 1, 3, 7, 15])
    )
    timer.begin()
    assert timer.enter("detect") == "track"
    assert timer.enter("track") == "detect"
    assert timer.enter("graph") == "track"
    timer.end()
    elapsed_ns = {
        name: {stage: ns for stage, ns in stages.items() if ns}
        for name, stages in timer.elapsed_ns.items()
    }
    assert elapsed_ns == {
        "wall": {"track": 7 + 30, "detect": 13, "graph": 1},
        "cpu": {"track": 1 + 4, "detect": 2, "graph": 8},
    }
    assert sum(timer.elapsed_ns["wall"].values()) == 151 - 100


def test_timer_begin_starts_at_zero() -> None:
    timer = StageTimer(fake_clock("wall", range(0, 1000, 10)))
    for _ in range(3):
        timer.begin()
        timer.enter("crop")
        timer.end()
    assert timer.elapsed_ns["wall"]["crop"] == 10
    assert list(timer.elapsed_ns["wall"]) == list(STAGES)


def test_timer_evaluates_clock_only_at_end() -> None:
    class Device(HostClock):
        def intervals_ns(self, stamps: object) -> list[int]:
            read.append(stamps)
            return [1] * 2

    read: list[object] = []
    timer = StageTimer(Device("event", lambda: len(read)))
    timer.begin()
    timer.enter("crop")
    assert read == []
    timer.end()
    assert read == [[0, 0, 0]]
    assert timer.elapsed_ns["event"]["crop"] == 1


def test_timer_with_unknown_stage_raises() -> None:
    timer = StageTimer(WALL)
    timer.begin()
    timer.enter("croup")
    timer.enter("crop")
    with pytest.raises(KeyError, match="croup"):
        timer.end()


def test_timer_when_disabled_reads_no_clock() -> None:
    timer = StageTimer(HostClock("wall", lambda: pytest.fail("the clock was read")))
    timer.enable()
    timer.begin()
    timer.enter("crop")
    timer.end()
    assert timer.elapsed_ns == {}


def test_host_clocks_intervals_add_up() -> None:
    for clock in (WALL, CPU):
        stamps = [clock.now() for _ in range(5)]
        assert all(interval >= 0 for interval in clock.intervals_ns(stamps))
        assert sum(clock.intervals_ns(stamps)) == stamps[-1] - stamps[0]


def test_timer_stage_block_returns_to_the_stage_before() -> None:
    timer = StageTimer(fake_clock("wall", [0, 1, 11, 111]))
    timer.begin()
    with pytest.raises(RuntimeError), timer.stage("detect"):
        raise RuntimeError
    timer.end()
    assert timer.elapsed_ns["wall"]["detect"] == 10
    assert timer.elapsed_ns["wall"]["track"] == 101

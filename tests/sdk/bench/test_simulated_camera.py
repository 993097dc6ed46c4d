"""A camera that does not wait: what a slow pipeline misses is counted, and waiting counts as
latency.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from faceaffect.bench import simulated_camera as paced_camera
from faceaffect.bench.simulated_camera import PacedCapture, measure_live
from faceaffect.types import Frame

FRAMES = [Frame(np.full((4, 6, 3), number, np.uint8)) for number in range(3)]


class SleepyPipeline:
    """Takes `frame_s` for every frame without using the processor, and `first_s` more for the first
    one.
    """

    def __init__(self, frame_s: float, first_s: float = 0.0) -> None:
        self._frame_s, self._first_s, self.seen = frame_s, first_s, list[int]()

    def reset(self) -> None:
        self.seen.clear()

    def analyze(self, frame: Frame) -> None:
        time.sleep(self._frame_s + (0 if self.seen else self._first_s))
        self.seen.append(frame.index)


def play(pipeline: Any, fps: float, count: int, warmup: int = 0) -> paced_camera.LiveRound:
    return measure_live(pipeline, FRAMES, fps, count, warmup)


def test_a_slow_pipeline_s_drops_are_counted_to_the_frame() -> None:
    pipeline = SleepyPipeline(0.05)
    live = play(pipeline, fps=100, count=60)
    assert live.delivered == 60
    assert live.dropped == 60 - len(pipeline.seen) == 60 - len(live.latency_ms)
    # Five frames come while one is analyzed: at least 60 - (600 ms / 50 ms + the first + the last).
    assert live.dropped >= 60 - 14
    assert min(live.latency_ms) >= 50
    assert pipeline.seen == sorted(set(pipeline.seen))


def test_the_newest_frame_is_answered_last() -> None:
    pipeline = SleepyPipeline(0.03)
    play(pipeline, fps=100, count=20)
    assert pipeline.seen[-1] == 19


def test_a_pipeline_that_keeps_up_misses_nothing() -> None:
    pipeline = SleepyPipeline(0.0)
    live = play(pipeline, fps=20, count=12)
    assert pipeline.seen == list(range(12))
    assert (live.delivered, live.dropped, len(live.latency_ms)) == (12, 0, 12)


def test_what_is_missed_while_warming_up_does_not_count() -> None:
    pipeline = SleepyPipeline(0.0, first_s=0.2)
    live = play(pipeline, fps=50, count=10, warmup=20)
    assert len(pipeline.seen) < 30  # frames came while the first one was analyzed
    assert (live.delivered, live.dropped, len(live.latency_ms)) == (10, 0, 10)


class FakeTime:
    """A clock that only goes on when somebody sleeps, and then by a little more than was asked for."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s + 0.001


def test_frames_are_due_at_the_rate_and_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime()
    monkeypatch.setattr(paced_camera, "time", clock)
    camera = PacedCapture(FRAMES, 6, 50.0)
    numbers = []
    for index in range(6):
        clock.now_s += 0.05 if index == 3 else 0.0  # the reader is held up for more than two frames
        good, pixels = camera.read()
        assert good
        numbers.append(int(pixels[0, 0, 0]))
    assert numbers == [
        0,
        1,
        2,
        1,
        0,
        1,
    ]  # forth and back; a late reader gets every frame, none is skipped for it
    np.testing.assert_allclose(np.diff(camera.due_s), 1 / 50)
    late_s = np.subtract(camera.read_s, camera.due_s)
    assert (late_s > 0).all()
    assert late_s[3] > 0.02
    assert camera.read() == (False, None)


def test_a_reader_that_was_held_up_counts_as_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the camera's own thread away: the frame was there all the time."""
    plain_read = PacedCapture.read

    def held_up(self: PacedCapture) -> tuple[bool, Any]:
        answer = plain_read(self)
        time.sleep(0.04 if len(self.read_s) == 5 else 0)
        if answer[0]:
            self.read_s[-1] = time.perf_counter()
        return answer

    monkeypatch.setattr(PacedCapture, "read", held_up)
    live = play(SleepyPipeline(0.0), fps=10, count=8)
    assert sum(ms >= 40 for ms in live.latency_ms) >= 1
    assert live.late_ms > 20

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from faceaffect.bench import simulated_camera
from faceaffect.bench.simulated_camera import SimulatedCapture, measure_camera
from faceaffect.types import Frame

FRAMES = [Frame(np.full((4, 6, 3), number, np.uint8)) for number in range(3)]


class SleepyPipeline:
    """Sleeps `frame_s` per frame, and `first_s` more for the first one."""

    def __init__(self, frame_s: float, first_s: float = 0.0) -> None:
        self._frame_s = frame_s
        self._first_s = first_s
        self.indices: list[int] = []

    def reset(self) -> None:
        self.indices.clear()

    def prefetch_detections(self, source: Any) -> None:
        """Detect nothing."""

    def analyze(self, frame: Frame) -> None:
        time.sleep(self._frame_s + (0 if self.indices else self._first_s))
        self.indices.append(frame.index)


def play(pipeline: Any, fps: float, count: int, warmup: int = 0) -> simulated_camera.CameraRound:
    return measure_camera(pipeline, FRAMES, fps, count, warmup)


def test_measure_camera_of_slow_pipeline_counts_drops() -> None:
    pipeline = SleepyPipeline(0.05)
    camera = play(pipeline, fps=100, count=60)
    assert camera.delivered == 60
    assert camera.dropped == 60 - len(pipeline.indices) == 60 - len(camera.latency_ms)
    # Five frames come while one is analyzed: at least 60 - (600 ms / 50 ms + the first + the last).
    assert camera.dropped >= 60 - 14
    assert min(camera.latency_ms) >= 50
    assert pipeline.indices == sorted(set(pipeline.indices))


def test_measure_camera_analyzes_newest_frame_last() -> None:
    pipeline = SleepyPipeline(0.03)
    play(pipeline, fps=100, count=20)
    assert pipeline.indices[-1] == 19


def test_measure_camera_of_fast_pipeline_drops_nothing() -> None:
    pipeline = SleepyPipeline(0.0)
    camera = play(pipeline, fps=20, count=12)
    assert pipeline.indices == list(range(12))
    assert (camera.delivered, camera.dropped, len(camera.latency_ms)) == (12, 0, 12)


def test_measure_camera_excludes_warmup() -> None:
    pipeline = SleepyPipeline(0.0, first_s=0.2)
    camera = play(pipeline, fps=50, count=10, warmup=20)
    assert len(pipeline.indices) < 30  # frames came while the first one was analyzed
    assert (camera.delivered, camera.dropped, len(camera.latency_ms)) == (10, 0, 10)


class FakeTime:
    """Clock that advances only during sleeps, by 1 ms more than requested."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def perf_counter(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s + 0.001


def test_simulated_capture_delivers_at_frame_rate_and_never_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = FakeTime()
    monkeypatch.setattr(simulated_camera, "time", clock)
    camera = SimulatedCapture(FRAMES, 6, 50.0)
    numbers = []
    for index in range(6):
        clock.now_s += 0.05 if index == 3 else 0.0  # delay of more than two frames
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
    ]  # ping-pong; a late reader still gets every frame
    np.testing.assert_allclose(np.diff(camera.due_s), 1 / 50)
    late_s = np.subtract(camera.read_s, camera.due_s)
    assert (late_s > 0).all()
    assert late_s[3] > 0.02
    assert camera.read() == (False, None)


def test_measure_camera_includes_read_delay_in_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is available while the capture thread is delayed."""
    plain_read = SimulatedCapture.read

    def delayed_read(self: SimulatedCapture) -> tuple[bool, Any]:
        result = plain_read(self)
        time.sleep(0.04 if len(self.read_s) == 5 else 0)
        if result[0]:
            self.read_s[-1] = time.perf_counter()
        return result

    monkeypatch.setattr(SimulatedCapture, "read", delayed_read)
    camera = play(SleepyPipeline(0.0), fps=10, count=8)
    assert sum(ms >= 40 for ms in camera.latency_ms) >= 1
    assert camera.read_delay_p95_ms > 20

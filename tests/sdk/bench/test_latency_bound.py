from __future__ import annotations

import numpy as np
import pytest

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.latency_bound import MAX_FPS, LatencyBound, highest_frame_rate
from faceaffect.bench.simulated_camera import CameraRound


def camera(latency_ms: list[float], dropped: int = 0) -> CameraRound:
    return CameraRound(latency_ms, len(latency_ms) + dropped, dropped, 0.0)


@pytest.mark.parametrize("text", ["p99=10ms", " p99=10 ", "p99=10.0ms"])
def test_parse_reads_percentile_and_milliseconds(text: str) -> None:
    assert LatencyBound.parse(text) == LatencyBound(99.0, 10.0)


@pytest.mark.parametrize("text", ["", "99=10", "p99", "p100=5ms", "p99=0", "p99=-1ms", "p99=10s"])
def test_parse_of_other_text_raises(text: str) -> None:
    with pytest.raises(BenchError, match="expected a bound such as p99=10ms"):
        LatencyBound.parse(text)


def test_bound_counts_dropped_frames_as_late() -> None:
    bound = LatencyBound(90, 10)
    assert bound.is_met_by(camera([5.0] * 90 + [50.0] * 10))
    assert not bound.is_met_by(camera([5.0] * 89 + [50.0] * 11))
    assert bound.is_met_by(camera([5.0] * 90, dropped=10))
    assert not bound.is_met_by(camera([5.0] * 89, dropped=11))
    assert not bound.is_met_by(camera([], dropped=5))


def test_bound_agrees_with_the_definition_of_a_percentile() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        latency_ms = random.integers(1, 6, size=random.integers(1, 40)).astype(float)
        percentile = float(random.integers(1, 99))
        is_met = np.mean(latency_ms <= 3) >= percentile / 100 - 1e-12
        assert LatencyBound(percentile, 3).is_met_by(camera(latency_ms.tolist())) == is_met


@pytest.mark.parametrize("limit_fps", [7.0, 30.0, 333.0, 1900.0])
def test_search_finds_the_rate_above_which_the_bound_fails(limit_fps: float) -> None:
    asked: list[float] = []

    def measure(fps: float) -> CameraRound:
        asked.append(fps)
        return camera([5.0 if fps <= limit_fps else 50.0] * 100)

    found = highest_frame_rate(LatencyBound(99, 10), measure)
    assert limit_fps / 1.03 <= found <= limit_fps
    assert len(asked) <= 11


def test_search_ends_at_its_limits() -> None:
    bound = LatencyBound(99, 10)
    assert highest_frame_rate(bound, lambda _fps: camera([1.0])) == MAX_FPS
    assert highest_frame_rate(bound, lambda _fps: camera([99.0])) == 0

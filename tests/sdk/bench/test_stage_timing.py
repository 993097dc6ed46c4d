from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from faceaffect import Frame, Pipeline, open_pipeline
from faceaffect.bench.stage_timing import (
    ALL_STAGES,
    TOTAL,
    WRITE,
    StagePlan,
    measure_stages,
    time_decoding,
)
from faceaffect.detectors import Detections, Detector
from faceaffect.geometry import CANONICAL_KEYPOINTS_XY, transform_points
from faceaffect.system.stage_timer import STAGES
from tests.sdk.test_geometry import similarity_map
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = str(Path(__file__).resolve().parents[3] / "assets" / "demo.mp4")
DETECT_S = 0.02


class SleepyDetector(Detector):
    """Finds one face, after a sleep, which takes wall time but no CPU time."""

    name = "sleepy"

    def __init__(self) -> None:
        self.calls = 0
        self.fails_after = 10**9

    def detect(self, frame: Frame, *, full_resolution: bool = True) -> Detections:
        self.calls += 1
        if self.calls > self.fails_after:
            raise RuntimeError("the detector failed")
        time.sleep(DETECT_S)
        keypoints = transform_points(similarity_map(1.5, 10, 40, 50), CANONICAL_KEYPOINTS_XY[None])
        return Detections(np.zeros((1, 4), np.float32), keypoints, np.ones(1, np.float32))


@pytest.fixture
def frames() -> list[Frame]:
    return [Frame(np.full((240, 320, 3), 150 + number, np.uint8)) for number in range(4)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny"))


def open_with(bundle: Path, detector: SleepyDetector) -> Pipeline:
    return open_pipeline(bundle, detector=detector)


def test_measure_stages_times_every_stage_of_every_frame(
    bundle: Path, frames: list[Frame], tmp_path: Path
) -> None:
    detector = SleepyDetector()
    with open_with(bundle, detector) as pipeline:
        # 45 frames at 10 fps: the detector runs repeatedly.
        measured = measure_stages([pipeline], StagePlan(frames, 45, 5, 10.0, tmp_path))
        assert pipeline.stage_timer.elapsed_ns == {}, "timing is disabled again"
    assert set(measured.clocks) == {"wall", "cpu"}
    for stages in measured.clocks.values():
        assert set(stages) == {*STAGES, TOTAL, WRITE}
        assert {len(values) for values in stages.values()} == {45}
        total = np.sum([stages[name] for name in STAGES], axis=0)
        np.testing.assert_allclose(total, stages[TOTAL], atol=1e-9)
        assert min(stages[WRITE]) > 0
    assert measured.mean_faces == 1
    wall, cpu = (
        np.array(measured.clocks["wall"]["detect"]),
        np.array(measured.clocks["cpu"]["detect"]),
    )
    assert measured.detector_runs == (wall > 0).sum() >= 2
    assert wall[wall > 0].min() >= 1000 * DETECT_S  # the detector sleeps: wall time ...
    assert cpu.max() < 1000 * DETECT_S / 2  # ... but no CPU time
    assert len((tmp_path / "stream0.csv").read_text().splitlines()) == 1 + 50


def test_measure_stages_runs_streams_concurrently(
    bundle: Path, frames: list[Frame], tmp_path: Path
) -> None:
    detectors = [SleepyDetector() for _ in range(3)]
    pipelines = [open_with(bundle, detector) for detector in detectors]
    measured = measure_stages(pipelines, StagePlan(frames, 10, 2, 10.0, tmp_path))
    assert set(measured.clocks) == {"wall"}, "the CPU clock includes all streams"
    assert {len(values) for values in measured.clocks["wall"].values()} == {30}
    assert (measured.mean_faces, measured.cpu_ms > 0, measured.throughput_fps > 0) == (
        1,
        True,
        True,
    )
    assert all(detector.calls for detector in detectors)
    assert len(list(tmp_path.glob("stream*.csv"))) == 3


@pytest.mark.parametrize("broken", [0, 1])
def test_measure_stages_with_failing_stream_raises(
    bundle: Path, frames: list[Frame], tmp_path: Path, broken: int
) -> None:
    detectors = [SleepyDetector() for _ in range(2)]
    detectors[broken].fails_after = 0
    pipelines = [open_with(bundle, detector) for detector in detectors]
    with pytest.raises(RuntimeError, match="the detector failed"):
        measure_stages(pipelines, StagePlan(frames, 10, 2, 10.0, tmp_path))


def test_time_decoding_returns_time_of_each_frame() -> None:
    frames, clocks = time_decoding(DEMO, 12)
    assert [frame.index for frame in frames] == list(range(12))
    for clock in ("wall", "cpu"):
        assert len(clocks[clock]["decode"]) == 12
        assert min(clocks[clock]["decode"]) >= 0
    assert sum(clocks["wall"]["decode"]) > 0


def test_all_stages_contains_every_pipeline_stage() -> None:
    assert set(ALL_STAGES) == {*STAGES, "decode", "write"}

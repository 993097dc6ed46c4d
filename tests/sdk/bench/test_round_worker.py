from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from faceaffect.bench.cold_start import peak_memory_mb
from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.record import Round
from faceaffect.bench.reference_workload import time_reference_workload
from faceaffect.bench.round_worker import RoundRequest, run_round
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = str(Path(__file__).resolve().parents[3] / "assets" / "demo.mp4")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def round_request(tmp_path: Path) -> RoundRequest:
    configuration = Configuration(model=str(write_tiny_bundle(tmp_path / "tiny")))
    return RoundRequest(configuration.as_json(), DEMO, 30.0, 9, 2, [50.0], 0.1, str(tmp_path), [])


def test_run_round_measures_everything(round_request: RoundRequest, tmp_path: Path) -> None:
    steps: list[str] = []
    one = Round.from_json(run_round(round_request, steps.append))
    assert steps == ["cold start", "stages", "camera at 50 fps"]
    cold_start = one.cold_start
    assert 0 < cold_start.import_cpu_s < cold_start.first_cpu_s
    assert 0 < cold_start.import_wall_s < cold_start.first_wall_s
    assert cold_start.file_fps > 0
    assert cold_start.file_cpu_ms > 0
    assert cold_start.device_peak_mb is None
    # NumPy, OpenCV and ONNX Runtime need some tens of megabytes, nine small frames not much more.
    assert 30 < cold_start.host_peak_mb < 600
    assert (tmp_path / "cold_start.csv").read_text().startswith("source,frame,")
    assert {
        len(samples) for stages in one.stages.clocks.values() for samples in stages.values()
    } == {9}
    assert (
        set(one.stages.clocks["wall"])
        == set(one.stages.clocks["cpu"])
        >= {"decode", "network", "write", "total"}
    )
    assert one.camera["50"].delivered == 5
    assert set(one.reference_ms) == {"wall", "cpu"}
    assert min(one.reference_ms.values()) > 0


def test_run_round_peak_memory_excludes_frames_in_memory(round_request: RoundRequest) -> None:
    """120 frames of 640x360 are 83 MB, which are loaded after peak memory is read."""
    few, many = (
        run_round(replace(round_request, frames=count, camera_fps=[]), lambda _: None)["cold_start"]
        for count in (2, 120)
    )
    assert many["host_peak_mb"] - few["host_peak_mb"] < 40


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_run_round_pins_worker_process_only(round_request: RoundRequest) -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    run_round(replace(round_request, frames=2, camera_fps=[], cores=[core]), lambda _: None)
    assert os.sched_getaffinity(0) == before
    with pytest.raises(BenchError, match="Invalid argument"):
        run_round(replace(round_request, cores=[10**4]), lambda _: None)


def test_peak_memory_mb_excludes_parent_process() -> None:
    """A child of a large process must not report its parent's memory."""
    block = bytearray(os.urandom(1 << 20) * 200)
    assert peak_memory_mb() > 200
    code = "from faceaffect.bench.cold_start import peak_memory_mb; print(peak_memory_mb())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sdk")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert float(done.stdout) < 150
    assert len(block) == 200 << 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": "nothing.mp4"}, "nothing.mp4 failed: nothing.mp4: no such file"),
        (
            {"configuration": Configuration(model="no-such-model").as_json()},
            "model must be a bundle folder",
        ),
        ({"configuration": {}}, "expected a configuration with"),
        ({"folder": "/nowhere/at/all"}, "the folder /nowhere/at/all does not exist"),
    ],
)
def test_run_round_reports_error_of_worker(
    round_request: RoundRequest, change: dict[str, object], message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        run_round(replace(round_request, **change), lambda _: None)  # type: ignore[arg-type]


def test_run_round_when_interrupted_kills_worker(round_request: RoundRequest) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_round(round_request, interrupt)
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    ).stdout
    assert "round_worker" not in children


def test_time_reference_workload_uses_cpu_time() -> None:
    elapsed_ms = time_reference_workload()
    assert 0.1 < elapsed_ms["cpu"] < 1000
    assert elapsed_ms["wall"] > 0

"""A round in a process of its own: what starting costs, what was measured, and what goes wrong
there.
"""

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
from faceaffect.bench.reference_workload import time_reference
from faceaffect.bench.round_worker import Order, run_round
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = str(Path(__file__).resolve().parents[3] / "assets" / "demo.mp4")
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def order(tmp_path: Path) -> Order:
    configuration = Configuration(model=str(write_tiny_bundle(tmp_path / "tiny")))
    return Order(configuration.as_json(), DEMO, 30.0, 9, 2, [50.0], 0.1, str(tmp_path), [])


def test_a_round_measures_all_of_it(order: Order, tmp_path: Path) -> None:
    told: list[str] = []
    one = Round.from_json(run_round(order, told.append))
    assert told == ["fresh start", "stages", "camera at 50 fps"]
    fresh = one.fresh
    assert 0 < fresh.import_cpu_s < fresh.first_cpu_s
    assert 0 < fresh.import_wall_s < fresh.first_wall_s
    assert fresh.file_fps > 0
    assert fresh.file_cpu_ms > 0
    assert fresh.device_peak_mb is None
    # NumPy, OpenCV and ONNX Runtime need some tens of megabytes, nine small frames not much more.
    assert 30 < fresh.host_peak_mb < 600
    assert (tmp_path / "fresh.csv").read_text().startswith("source,frame,")
    assert {
        len(samples) for stages in one.stages.clocks.values() for samples in stages.values()
    } == {9}
    assert (
        set(one.stages.clocks["wall"])
        == set(one.stages.clocks["cpu"])
        >= {"decode", "network", "write", "whole"}
    )
    assert one.live["50"].delivered == 5
    assert set(one.reference_ms) == {"wall", "cpu"}
    assert min(one.reference_ms.values()) > 0


def test_the_frames_in_memory_are_not_counted_as_the_pipeline_s(order: Order) -> None:
    """120 frames of 640x360 are 83 MB, which are only loaded after the memory has been looked at."""
    few, many = (
        run_round(replace(order, frames=count, live_fps=[]), lambda _: None)["fresh"]
        for count in (2, 120)
    )
    assert many["host_peak_mb"] - few["host_peak_mb"] < 40


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_a_process_runs_where_it_is_told_to(order: Order) -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    run_round(replace(order, frames=2, live_fps=[], cores=[core]), lambda _: None)
    assert os.sched_getaffinity(0) == before
    with pytest.raises(BenchError, match="Invalid argument"):
        run_round(replace(order, cores=[10**4]), lambda _: None)


def test_a_process_s_memory_is_its_own() -> None:
    """A child that a large process starts must not report what its parent holds."""
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
    ("change", "said"),
    [
        ({"video": "nothing.mp4"}, "nothing.mp4 failed: nothing.mp4: no such file"),
        (
            {"configuration": Configuration(model="nobody-has-this").as_json()},
            "model must be a bundle folder",
        ),
        ({"configuration": {}}, "a configuration must have"),
        ({"folder": "/nowhere/at/all"}, "the folder /nowhere/at/all does not exist"),
    ],
)
def test_what_goes_wrong_there_is_told_here(
    order: Order, change: dict[str, object], said: str
) -> None:
    with pytest.raises(BenchError, match=said):
        run_round(replace(order, **change), lambda _: None)  # type: ignore[arg-type]


def test_an_interruption_leaves_no_process_behind(order: Order) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_round(order, interrupt)
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    ).stdout
    assert "round_process" not in children


def test_reference_work_takes_processor_time() -> None:
    found = time_reference()
    assert 0.1 < found["cpu"] < 1000
    assert found["wall"] > 0

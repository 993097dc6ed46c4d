"""A process of its own tells what starting costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.fresh_process import peak_memory_mb, run_fresh
from tests.sdk.tiny_bundle import write_tiny_bundle

DEMO = str(Path(__file__).resolve().parents[3] / "assets" / "demo.mp4")


def test_costs_of_a_start(tmp_path: Path) -> None:
    configuration = Configuration(model=str(write_tiny_bundle(tmp_path / "tiny")))
    rows = tmp_path / "rows.csv"
    run = run_fresh(configuration.as_json(), DEMO, 9, rows)
    assert 0 < run.import_cpu_s < run.first_cpu_s
    assert 0 < run.import_wall_s < run.first_wall_s
    assert run.file_fps > 0
    assert run.file_cpu_ms > 0
    assert run.device_peak_mb is None
    # NumPy, OpenCV and ONNX Runtime need some tens of megabytes, nine small frames not much more.
    assert 30 < run.host_peak_mb < 600
    assert rows.read_text().startswith("source,frame,")


def test_a_process_s_memory_is_its_own() -> None:
    """A child that a large process starts must not report what its parent holds."""
    block = bytearray(os.urandom(1 << 20) * 120)
    before = peak_memory_mb()
    assert before > 120
    code = "from faceaffect.bench.fresh_process import peak_memory_mb; print(peak_memory_mb())"
    root = str(Path(__file__).resolve().parents[3] / "sdk")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root})
    assert float(done.stdout) < 60
    assert len(block) == 120 << 20


@pytest.mark.parametrize(("video", "said"), [("nothing.mp4", "no such file"), (DEMO, "model must be a bundle folder")])
def test_what_goes_wrong_there_is_told_here(tmp_path: Path, video: str, said: str) -> None:
    model = str(write_tiny_bundle(tmp_path / "tiny")) if video == "nothing.mp4" else "nobody-has-this"
    with pytest.raises(BenchError, match=said):
        run_fresh(Configuration(model=model).as_json(), video, 3, tmp_path / "rows.csv")

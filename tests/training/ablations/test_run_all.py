from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from training.ablations.__main__ import main
from training.ablations.one_run import RunPaths
from training.ablations.records import read_record
from training.ablations.run_all import RunnerConfig, run_all
from training.ablations.variants import find_run

pytestmark = [pytest.mark.train, pytest.mark.shared]

NAMES = ("M3-partial_labels-fully_labeled_only-s1", "M3-partial_labels-full-s1")
SCALE = 0.01


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Working folder with tables and images that all tests share."""
    return tmp_path_factory.mktemp("work")


def runner_config(runs: tuple[str, ...], paths: RunPaths, records: Path) -> RunnerConfig:
    return RunnerConfig([find_run(name) for name in runs], paths, records, SCALE, workers=2)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=1000)


def test_run_all_skips_finished_runs_and_reports_failures(
    renderwild_tiny: Path, work: Path, tmp_path: Path
) -> None:
    paths = RunPaths((renderwild_tiny,), work)
    console = quiet()
    outcome = run_all(runner_config(NAMES, paths, tmp_path), console)
    assert sorted(outcome.finished) == sorted(NAMES), console.file.getvalue()  # type: ignore[attr-defined]
    first = read_record(tmp_path / f"{NAMES[0]}.json")
    assert first.steps >= 1
    assert 0 <= first.score <= 1
    assert first.details["fully_labeled_frames"] == first.details["labeled_train_frames"]["AU"] + (
        first.details["labeled_train_frames"]["EXPR"] - first.details["train_frames"]
    )
    base = read_record(tmp_path / "M3-partial_labels-majority.json")
    assert base.tasks == ("AU", "EXPR")
    before = (tmp_path / f"{NAMES[0]}.json").stat().st_mtime_ns
    (tmp_path / f"{NAMES[1]}.json").unlink()
    state = paths.run(NAMES[1], SCALE) / "state.pt"
    state.write_bytes(b"nothing")
    again = run_all(runner_config(NAMES, paths, tmp_path), console)
    assert again.finished == []
    assert again.failed == [NAMES[1]]
    assert "delete it to start anew" in console.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / f"{NAMES[0]}.json").stat().st_mtime_ns == before


def run_one_command(name: str, data: Path, work: Path, records: Path) -> list[str]:
    options = [
        "--data",
        str(data),
        "--work",
        str(work),
        "--records",
        str(records),
        "--scale",
        "0.02",
        "--save-every",
        "1",
    ]
    return [sys.executable, "-m", "training.ablations", "run-one", name, *options]


def test_run_one_killed_and_resumed_equals_uninterrupted_run(
    renderwild_tiny: Path, work: Path, tmp_path: Path
) -> None:
    """The process is killed (SIGKILL) once a state is saved, then resumed."""
    name, env = NAMES[0], {**os.environ, "OMP_NUM_THREADS": "1"}
    command = run_one_command(name, renderwild_tiny, work, tmp_path / "resumed")
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
    )
    state, started = work / "runs" / f"{name}-x0.02" / "state.pt", time.monotonic()
    while not state.is_file() and process.poll() is None and time.monotonic() - started < 240:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.is_file()
    assert not (tmp_path / "resumed" / f"{name}.json").exists(), "killed before its record"
    subprocess.run(command, check=True, capture_output=True, env=env)
    state.parent.rename(work / "runs" / "resumed")
    subprocess.run(
        run_one_command(name, renderwild_tiny, work, tmp_path / "uninterrupted"),
        check=True,
        capture_output=True,
        env=env,
    )
    resumed, uninterrupted = (
        json.loads((tmp_path / kind / f"{name}.json").read_text())
        for kind in ("resumed", "uninterrupted")
    )
    assert resumed["cpu_seconds"] is None
    assert resumed["scores"] == uninterrupted["scores"]


def test_run_command_reports_invalid_options(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        ["run", "--data", str(tmp_path), "--work", str(tmp_path / "w"), "--records", str(tmp_path)],
    )
    assert result.exit_code == 1
    assert "expected a RenderWild" in result.output
    result = CliRunner().invoke(main, ["run", "--data", str(tmp_path), "--method", "M11"])
    assert "expected methods M1, M2" in result.output

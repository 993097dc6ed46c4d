"""The runner: what is finished is left alone, what was killed goes on and ends as if nothing had
been.
"""

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
from training.ablations.run_all import Order, run_all
from training.ablations.variants import Run, find_run

pytestmark = [pytest.mark.train, pytest.mark.shared]

NAMES = ("M3-one_label_each-doubly_labeled_frames_alone-s1", "M3-one_label_each-full-s1")
SCALE = 0.01


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and images are read once for all tests."""
    return tmp_path_factory.mktemp("work")


def order(runs: tuple[str, ...], places: RunPaths, records: Path) -> Order:
    found: list[Run] = [find_run(name) for name in runs]
    return Order(found, places, records, SCALE, workers=2)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=1000)


def test_finished_runs_are_left_alone_and_broken_ones_are_told(
    renderwild_tiny: Path, work: Path, tmp_path: Path
) -> None:
    places = RunPaths((renderwild_tiny,), work)
    console = quiet()
    made = run_all(order(NAMES, places, tmp_path), console)
    assert sorted(made.done) == sorted(NAMES), console.file.getvalue()  # type: ignore[attr-defined]
    first = read_record(tmp_path / f"{NAMES[0]}.json")
    assert first.steps >= 1
    assert 0 <= first.headline <= 1
    assert first.facts["doubly_labeled"] == first.facts["labeled_train_frames"]["AU"] + (
        first.facts["labeled_train_frames"]["EXPR"] - first.facts["train_frames"]
    )
    base = read_record(tmp_path / "M3-one_label_each-majority.json")
    assert base.judged == ("AU", "EXPR")
    before = (tmp_path / f"{NAMES[0]}.json").stat().st_mtime_ns
    (tmp_path / f"{NAMES[1]}.json").unlink()
    state = places.run(NAMES[1], SCALE) / "state.pt"
    state.write_bytes(b"nothing")
    again = run_all(order(NAMES, places, tmp_path), console)
    assert again.done == []
    assert again.failed == [NAMES[1]]
    assert "delete it to start anew" in console.file.getvalue()  # type: ignore[attr-defined]
    assert (tmp_path / f"{NAMES[0]}.json").stat().st_mtime_ns == before


def one(name: str, data: Path, work: Path, records: Path) -> list[str]:
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
    return [sys.executable, "-m", "training.ablations", "one", name, *options]


def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(
    renderwild_tiny: Path, work: Path, tmp_path: Path
) -> None:
    """Killed for good (SIGKILL) once a state is saved; the scores then are those of a run that
    nobody stopped.
    """
    name, env = NAMES[0], {**os.environ, "OMP_NUM_THREADS": "1"}
    command = one(name, renderwild_tiny, work, tmp_path / "broken")
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
    )
    state, started = work / "runs" / f"{name}-x0.02" / "state.pt", time.monotonic()
    while not state.is_file() and process.poll() is None and time.monotonic() - started < 240:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.is_file()
    assert not (tmp_path / "broken" / f"{name}.json").exists(), "killed before its record"
    subprocess.run(command, check=True, capture_output=True, env=env)
    state.parent.rename(work / "runs" / "was broken")
    subprocess.run(
        one(name, renderwild_tiny, work, tmp_path / "whole"),
        check=True,
        capture_output=True,
        env=env,
    )
    broken, whole = (
        json.loads((tmp_path / kind / f"{name}.json").read_text()) for kind in ("broken", "whole")
    )
    assert broken["cpu_seconds"] is None
    assert broken["scores"] == whole["scores"]


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    said = CliRunner().invoke(
        main,
        ["run", "--data", str(tmp_path), "--work", str(tmp_path / "w"), "--records", str(tmp_path)],
    )
    assert said.exit_code == 1
    assert "must be a RenderWild" in said.output
    said = CliRunner().invoke(main, ["run", "--data", str(tmp_path), "--method", "M11"])
    assert "methods are M1, M2" in said.output

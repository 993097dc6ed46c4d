"""Short, deterministic parts of the reliability campaign, and that it finds what it looks for."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import reliability, reliability_inputs
from benchmarks.mutate_bytes import mutate
from benchmarks.reliability import Campaign
from benchmarks.reliability_inputs import KINDS, outcome_of

REQUIRES = ["onnx"]
DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.mp4"
CASES = {"videos": 12, "bundles": 25}


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("kind", KINDS)
def test_mutated_inputs_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    outcomes = Counter(
        outcome_of(KINDS[kind](DEMO, tmp_path, chance)) for _ in range(CASES.get(kind, 40))
    )
    assert set(outcomes) <= {"ok", "refused"}


def test_foreign_exception_is_told(tmp_path: Path) -> None:
    def divide() -> None:
        raise ZeroDivisionError("by\nzero")

    assert outcome_of(divide) == "foreign ZeroDivisionError: by zero"


def test_mutation_of_json_changes_one_value() -> None:
    value = {"a": [1, 2, {"b": 3}], "c": "text"}
    changed = [
        reliability_inputs._mutate_json(json.loads(json.dumps(value)), random.Random(seed))
        for seed in range(20)
    ]
    assert sum(one != value for one in changed) > 15


def test_mutate_is_reproducible_and_changes_bytes() -> None:
    content = bytes(range(256))
    assert mutate(content, 3) == mutate(content, 3)
    assert sum(mutate(content, seed) != content for seed in range(50)) > 45


@pytest.mark.usefixtures("trained")
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_killed_run_is_resumed_to_the_rows_of_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reliability, "_RUNS", {"csv": ("rows.csv", ())})
    campaign = Campaign()
    reliability._killed_runs(tmp_path, DEMO, random.Random(1), _soon(1), campaign)
    assert campaign.failures == []
    assert campaign.counts["kills"] + campaign.counts["kills after the end"] == 1


@pytest.mark.usefixtures("trained")
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
def test_lost_row_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_a_row(name: str, clip: Path, videos: Path, work: Path) -> int:
        (work / "rows.csv").write_text("source,frame,track_id\nclip.mp4,0,1\n")
        for log in work.glob("*.progress.jsonl"):
            log.unlink()
        return 0

    monkeypatch.setattr(reliability, "_RUNS", {"csv": ("rows.csv", ())})
    monkeypatch.setattr(reliability, "_resume", lose_a_row)
    campaign = Campaign()
    reliability._killed_runs(tmp_path, DEMO, random.Random(1), _soon(1), campaign)
    assert any("rows lost" in failure for failure in campaign.failures)


@pytest.mark.usefixtures("trained")
def test_threads_with_own_pipelines_equal_serial(tmp_path: Path) -> None:
    campaign = Campaign()
    reliability._threads(tmp_path, DEMO, random.Random(0), _soon(0), campaign)
    assert (campaign.counts["threads with equal results"], campaign.failures) == (8, [])


def test_process_that_crashes_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen

    def crash(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        program = "import os; print('ok', flush=True); os.kill(os.getpid(), 11)"
        return real([sys.executable, "-c", program], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(reliability.subprocess, "Popen", crash)  # type: ignore[attr-defined]
    campaign = Campaign()
    reliability._mutated_inputs(tmp_path, DEMO, random.Random(0), _soon(0.01), campaign)
    assert any(failure.endswith("the process ended with -11") for failure in campaign.failures)


def _soon(seconds: float) -> float:
    clock: Callable[[], float] = reliability.time.monotonic  # type: ignore[attr-defined]
    return clock() + seconds

"""Tests of ProcessPool, on fake workers."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from faceaffect.batch import BatchError, FileResult, Input, TaskSettings
from faceaffect.batch.file_task import FramesDone
from faceaffect.batch.process_pool import ProcessPool
from faceaffect.sources.source import SourceOptions

WORKER = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


def pool(jobs: int, model: str | None = None, command: tuple[str, ...] = WORKER) -> ProcessPool:
    return ProcessPool(
        TaskSettings("results", "csv", model, {}, SourceOptions(), "auto", "0"), jobs, command
    )


def tasks(folder: Path, *names: str) -> list[Input]:
    return [Input(str(folder / name), name) for name in names]


def results(pool: ProcessPool, inputs: list[Input]) -> list[FileResult]:
    return [event for event in pool.run(inputs) if isinstance(event, FileResult)]


def test_run_yields_one_result_per_task(tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(30)]
    events = list(pool(3).run(tasks(tmp_path, *names)))
    ended = [event for event in events if isinstance(event, FileResult)]
    assert sorted(one.name for one in ended) == sorted(names)
    assert sum(event.count for event in events if isinstance(event, FramesDone)) == 150
    assert 1 < len({one.cpu_s for one in ended}) <= 3


def test_run_starts_no_more_processes_than_tasks(tmp_path: Path) -> None:
    assert len({one.cpu_s for one in results(pool(8), tasks(tmp_path, "a", "b"))}) <= 2
    assert results(pool(2), []) == []


def test_run_input_that_kills_process_fails_alone(tmp_path: Path) -> None:
    ended = results(pool(2), tasks(tmp_path, "a", "dies", "b", "dies-once", "c", "d"))
    assert Counter(one.name for one in ended) == Counter(["a", "dies", "b", "dies-once", "c", "d"])
    (failed,) = [one for one in ended if one.error]
    assert failed.name == "dies"
    assert failed.error.endswith(
        "2 processes died on it, the last one by SIGKILL (assertion of the decoder failed)"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, "none", WORKER), "no such model"),
        (
            (2, None, (sys.executable, "-c", "raise SystemExit('cannot')")),
            r"failed to start: exit code 1 \(cannot\)",
        ),
    ],
)
def test_run_worker_that_cannot_start_raises(
    tmp_path: Path, arguments: tuple[int, str | None, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(BatchError, match=message):
        results(pool(*arguments), tasks(tmp_path, "a", "b", "c"))


def test_run_worker_killed_while_it_starts_is_replaced(tmp_path: Path) -> None:
    marker = tmp_path / "dies-once"
    ended = results(pool(1, str(marker)), tasks(tmp_path, "a", "b"))
    assert marker.exists()
    assert [(one.name, one.error) for one in ended] == [("a", ""), ("b", "")]


def test_run_stop_message_raises(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="the disk is full"):
        results(pool(2), tasks(tmp_path, "a", "stop", "b"))


def test_run_closed_early_kills_processes(tmp_path: Path) -> None:
    events = pool(2).run(tasks(tmp_path, *[str(number) for number in range(500)]))
    pid = next(int(event.cpu_s) for event in events if isinstance(event, FileResult))
    assert Path(f"/proc/{pid}").exists()
    events.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{pid}").exists()

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
        TaskSettings("parts", "csv", model, {}, SourceOptions(), "auto", "0"), jobs, command
    )


def tasks(folder: Path, *names: str) -> list[Input]:
    return [Input(str(folder / name), name) for name in names]


def outcomes(pool: ProcessPool, given: list[Input]) -> list[FileResult]:
    return [event for event in pool.run(given) if isinstance(event, FileResult)]


def test_every_task_ends_once_and_the_processes_share_them(tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(30)]
    events = list(pool(3).run(tasks(tmp_path, *names)))
    ended = [event for event in events if isinstance(event, FileResult)]
    assert sorted(one.name for one in ended) == sorted(names)
    assert sum(event.count for event in events if isinstance(event, FramesDone)) == 150
    assert 1 < len({one.cpu_s for one in ended}) <= 3


def test_no_more_processes_than_tasks(tmp_path: Path) -> None:
    assert len({one.cpu_s for one in outcomes(pool(8), tasks(tmp_path, "a", "b"))}) <= 2
    assert outcomes(pool(2), []) == []


def test_a_file_that_kills_its_process_fails_alone(tmp_path: Path) -> None:
    ended = outcomes(pool(2), tasks(tmp_path, "a", "dies", "b", "dies-once", "c", "d"))
    assert Counter(one.name for one in ended) == Counter(["a", "dies", "b", "dies-once", "c", "d"])
    (failed,) = [one for one in ended if one.error]
    assert failed.name == "dies"
    assert failed.error.endswith(
        "2 processes died on it, the last one by SIGKILL (assertion of the decoder failed)"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((2, "none", WORKER), "no such model"),
        (
            (2, None, (sys.executable, "-c", "raise SystemExit('cannot')")),
            r"did not start, it ended by exit code 1 \(cannot\)",
        ),
    ],
)
def test_workers_that_cannot_work_end_the_run(
    tmp_path: Path, given: tuple[int, str | None, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(BatchError, match=message):
        outcomes(pool(*given), tasks(tmp_path, "a", "b", "c"))


def test_what_no_other_input_would_survive_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="the disk is full"):
        outcomes(pool(2), tasks(tmp_path, "a", "stop", "b"))


def test_leaving_early_ends_the_processes(tmp_path: Path) -> None:
    events = pool(2).run(tasks(tmp_path, *[str(number) for number in range(500)]))
    pid = next(int(event.cpu_s) for event in events if isinstance(event, FileResult))
    assert Path(f"/proc/{pid}").exists()
    events.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{pid}").exists()

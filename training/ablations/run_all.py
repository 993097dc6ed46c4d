"""All runs one after the other, some at a time; what is finished is left alone, what was broken off
goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from training.ablations.one_run import RunPaths, majority_record, trunk_digest
from training.ablations.records import finished, read_record
from training.ablations.variants import BOARD, TRIALS, Run

_LOOK_EVERY_S = 0.5
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to run, and how. `minutes`: no run is begun after so many."""

    runs: list[Run]
    places: RunPaths
    records: Path
    scale: float = 1.0
    workers: int = 2
    minutes: float | None = None


@dataclass(slots=True)
class Outcome:
    """Names of runs by what became of them in this call."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def run_all(order: Order, console: Console | None = None) -> Outcome:
    """Run what has no record yet, in the order given; a failed run is told and does not stop the
    others.

    Every run is a process of its own on one thread. When this one is stopped its runs are
    stopped too; they go on from their last saved step another time.
    """
    console = console or Console()
    _write_baselines(order)
    known = finished(
        {run.name: trunk_digest(run, order.places) for run in order.runs},
        order.records,
        order.scale,
    )
    waiting = [run for run in order.runs if run.name not in known]
    console.print(
        f"{len(known)} of {len(order.runs)} runs have their record; {len(waiting)} to go, {order.workers} at a time"
    )
    outcome, started = Outcome(), time.perf_counter()
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
    with _ended(running):
        while waiting or running:
            is_late = (
                order.minutes is not None and time.perf_counter() - started > 60 * order.minutes
            )
            while waiting and len(running) < order.workers and not is_late:
                run = waiting.pop(0)
                running[run.name] = (_begin(run, order), time.perf_counter())
            if is_late and not running:
                break
            time.sleep(_LOOK_EVERY_S)
            for name in [
                name for name, (process, _) in running.items() if process.poll() is not None
            ]:
                process, begun = running.pop(name)
                _tell(name, process, time.perf_counter() - begun, order, outcome, console)
                console.print(
                    f"    {len(known) + len(outcome.done)} of {len(order.runs)} done, {len(waiting)} waiting"
                )
    outcome.left = [run.name for run in waiting]
    return outcome


def _write_baselines(order: Order) -> None:
    # The board has one setting: one baseline of all three tasks serves it.
    wanted = {
        BOARD[0].name if run.trial.setting == BOARD[0].setting else run.trial.name
        for run in order.runs
    }
    for trial in (*TRIALS, BOARD[0]):
        path = order.records / f"{trial.name}-majority.json"
        if trial.name in wanted and not path.is_file():
            majority_record(trial, order.places).write(order.records)


def _begin(run: Run, order: Order) -> subprocess.Popen[bytes]:
    log = _log(run.name, order)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "training.ablations",
        "one",
        run.name,
        "--work",
        str(order.places.work),
    ]
    command += ["--records", str(order.records), "--scale", str(order.scale)]
    for data in order.places.data:
        command += ["--data", str(data)]
    for trunk in order.places.trunks:
        command += ["--trunk", str(trunk)]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **_ONE_THREAD}
        )


def _log(name: str, order: Order) -> Path:
    folder = order.places.run(name, order.scale)
    return folder.parent / f"{folder.name}.log"


def _tell(
    name: str,
    process: subprocess.Popen[bytes],
    seconds: float,
    order: Order,
    outcome: Outcome,
    console: Console,
) -> None:
    path = order.records / f"{name}.json"
    if process.returncode == 0 and path.is_file():
        outcome.done.append(name)
        console.print(f"{name}: [bold]{read_record(path).headline:.4f}[/bold] in {seconds:.0f} s")
        return
    outcome.failed.append(name)
    log = _log(name, order)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    console.print(
        f"{name}: failed ({process.returncode}) after {seconds:.0f} s; {log} ends with",
        markup=False,
    )
    console.print("\n".join(lines[-5:]), markup=False)


@contextmanager
def _ended(running: dict[str, tuple[subprocess.Popen[bytes], float]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.wait()

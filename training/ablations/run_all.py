"""Runs all ablations in parallel processes; skips recorded runs, resumes interrupted ones."""

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
from training.ablations.records import finished_runs, read_record
from training.ablations.variants import ABLATIONS, LEADERBOARD, Run

_POLL_INTERVAL_S = 0.5
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


@dataclass(frozen=True, slots=True)
class RunnerConfig:
    """Runs to do; none is started after `max_minutes`."""

    runs: list[Run]
    paths: RunPaths
    records: Path
    scale: float = 1.0
    workers: int = 2
    max_minutes: float | None = None


@dataclass(slots=True)
class Outcome:
    """Names of the runs by their outcome."""

    finished: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)


def run_all(config: RunnerConfig, console: Console | None = None) -> Outcome:
    """Run everything that has no record yet, in order; a failed run is reported and does not stop
    the others.

    Each run is a single-threaded process. Runs are terminated with this process; the next call
    resumes them from their last saved step.
    """
    console = console or Console()
    _write_baselines(config)
    known = finished_runs(
        {run.name: trunk_digest(run, config.paths) for run in config.runs},
        config.records,
        config.scale,
    )
    waiting = [run for run in config.runs if run.name not in known]
    console.print(
        f"{len(known)} of {len(config.runs)} runs have a record; running {len(waiting)}, "
        f"{config.workers} at a time"
    )
    outcome = Outcome()
    started = time.perf_counter()
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
    with _terminate_on_exit(running):
        while waiting or running:
            is_late = (
                config.max_minutes is not None
                and time.perf_counter() - started > 60 * config.max_minutes
            )
            while waiting and len(running) < config.workers and not is_late:
                run = waiting.pop(0)
                running[run.name] = (_start(run, config), time.perf_counter())
            if is_late and not running:
                break
            time.sleep(_POLL_INTERVAL_S)
            ended = [name for name, (process, _) in running.items() if process.poll() is not None]
            for name in ended:
                process, started_s = running.pop(name)
                _report(name, process, time.perf_counter() - started_s, config, outcome, console)
                console.print(
                    f"    {len(known) + len(outcome.finished)} of {len(config.runs)} done, "
                    f"{len(waiting)} waiting"
                )
    outcome.pending = [run.name for run in waiting]
    return outcome


def _write_baselines(config: RunnerConfig) -> None:
    # The leaderboard has one scenario, so one baseline of all three tasks.
    names = {
        LEADERBOARD[0].name
        if run.ablation.scenario == LEADERBOARD[0].scenario
        else run.ablation.name
        for run in config.runs
    }
    for ablation in (*ABLATIONS, LEADERBOARD[0]):
        path = config.records / f"{ablation.name}-majority.json"
        if ablation.name in names and not path.is_file():
            majority_record(ablation, config.paths).write(config.records)


def _start(run: Run, config: RunnerConfig) -> subprocess.Popen[bytes]:
    log = _log_path(run.name, config)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "training.ablations", "run-one", run.name]
    command += ["--work", str(config.paths.work), "--records", str(config.records)]
    command += ["--scale", str(config.scale)]
    for data in config.paths.data:
        command += ["--data", str(data)]
    for trunk in config.paths.trunks:
        command += ["--trunk", str(trunk)]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **_ONE_THREAD}
        )


def _log_path(name: str, config: RunnerConfig) -> Path:
    folder = config.paths.run(name, config.scale)
    return folder.parent / f"{folder.name}.log"


def _report(
    name: str,
    process: subprocess.Popen[bytes],
    seconds: float,
    config: RunnerConfig,
    outcome: Outcome,
    console: Console,
) -> None:
    path = config.records / f"{name}.json"
    if process.returncode == 0 and path.is_file():
        outcome.finished.append(name)
        console.print(f"{name}: [bold]{read_record(path).score:.4f}[/bold] in {seconds:.0f} s")
        return
    outcome.failed.append(name)
    log = _log_path(name, config)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    console.print(
        f"{name}: failed ({process.returncode}) after {seconds:.0f} s; {log} ends with",
        markup=False,
    )
    console.print("\n".join(lines[-5:]), markup=False)


@contextmanager
def _terminate_on_exit(running: dict[str, tuple[subprocess.Popen[bytes], float]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.wait()

"""A benchmark run: every configuration in every round, so that what slows the machine slows them
all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Final

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.cuda_driver import CudaDriver
from faceaffect.bench.jetson_power import PowerMonitor
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.bench.record import Record, Result, Round
from faceaffect.bench.round_worker import Order, run_round
from faceaffect.bench.workload import DRAWN_SIZE, make_workload

INTERRUPTED: Final = "interrupted"
STOPPED: Final = "stopped"

Progress = Callable[[str], None]
"""Is told what begins."""


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What holds for all configurations. `source` None: drawn faces."""

    source: str | None = None
    frames: int = 200
    rounds: int = 5
    warmup: int = 15
    live_fps: tuple[float, ...] = (30.0, 60.0)
    live_s: float = 2.0
    pin: bool = False

    def steps(self, configurations: int) -> int:
        """How often `Progress` is told of something."""
        return configurations * (1 + self.rounds * (2 + len(self.live_fps)))


def run_bench(
    configurations: Sequence[Configuration], settings: BenchSettings, progress: Progress
) -> Record:
    """Measure. What ends it early (Ctrl-C, SIGTERM as `cli.termination` raises it, an error) is
    noted in a record of the whole rounds before it.

    It is raised where there is no whole round, and so is whatever goes wrong while pipelines and
    frames are prepared.
    """
    record = Record(
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=describe_machine(),
        settings=asdict(settings),
        results=[],
    )
    if settings.source is None:
        configurations = [
            replace(one, size=one.size or DRAWN_SIZE, faces=one.faces or 1)
            for one in configurations
        ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faceaffect_bench_")))
        record.results = [_prepare(one, settings, folder, progress) for one in configurations]
        devices = {result.runs["device"] for result in record.results}
        for device in sorted(device for device in devices if device.startswith("cuda")):
            record.machine[device] = CudaDriver(device).describe()
        power = stack.enter_context(PowerMonitor())
        watch = SystemLoadMonitor()
        try:
            _run_rounds(record.results, settings, folder, power, progress)
        except BaseException as error:
            if not _keep_whole_rounds(record):
                raise
            record.incomplete = _reason(error)
        record.load = watch.stop()
    for result in record.results:
        result.power = power.samples.get(result.configuration.key)
    if record.incomplete:
        rounds = len(record.results[0].rounds)
        record.notes.append(
            f"{rounds} of {settings.rounds} rounds were measured: {record.incomplete}"
        )
    record.notes += [
        *record.load.warnings(),
        *([power.note] if power.note else []),
        *_face_notes(record.results),
    ]
    return record


def _reason(error: BaseException) -> str:
    if isinstance(error, Exception):
        return f"{type(error).__name__}: {error}"
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED


def _prepare(
    configuration: Configuration, settings: BenchSettings, folder: Path, progress: Progress
) -> Result:
    """The frames of a configuration, and its pipeline once opened, so that what cannot run is found
    before minutes pass.
    """
    progress(f"preparing {configuration.key}")
    with configuration.open() as pipeline:
        runs = pipeline.describe()
    workload = make_workload(settings.source, configuration, settings.frames, folder)
    return Result(configuration, workload, runs)


def _run_rounds(
    results: list[Result],
    settings: BenchSettings,
    folder: Path,
    power: PowerMonitor,
    progress: Progress,
) -> None:
    order = list(enumerate(results, 1))
    for number in range(1, settings.rounds + 1):
        for place, result in order:
            power.label = result.configuration.key
            told = f"round {number}/{settings.rounds}, configuration {place}/{len(order)}"
            result.rounds.append(_measure(result, settings, folder, partial(_tell, progress, told)))
            power.label = ""
        # The first of a round finds another machine than the last (caches, clock rate): each is
        # first in turn.
        order = [*order[1:], order[0]]


def _tell(progress: Progress, told: str, part: str) -> None:
    progress(f"{told}: {part}")


def _measure(result: Result, settings: BenchSettings, folder: Path, progress: Progress) -> Round:
    order = Order(
        configuration=result.configuration.as_json(),
        video=result.workload.path,
        fps=result.workload.fps,
        frames=settings.frames,
        warmup=settings.warmup,
        live_fps=list(settings.live_fps),
        live_s=settings.live_s,
        folder=str(folder),
        cores=_cores(result.configuration) if settings.pin else [],
    )
    return Round.from_json(run_round(order, progress))


def _cores(configuration: Configuration) -> list[int]:
    """As many cores as the configuration uses."""
    if not hasattr(os, "sched_getaffinity"):
        raise BenchError("--pin-cores needs Linux, this system cannot pin a process; leave it out")
    return sorted(os.sched_getaffinity(0))[: configuration.threads * configuration.streams]


def _keep_whole_rounds(record: Record) -> int:
    """Drop what only some of the configurations have; gives the number of rounds left."""
    whole = min(len(result.rounds) for result in record.results)
    for result in record.results:
        del result.rounds[whole:]
    return whole


def _face_notes(results: list[Result]) -> list[str]:
    """Where another number of faces was held than was asked for, the figures are about that number."""
    notes = []
    for result in results:
        wanted, rounds = result.configuration.faces, [one.stages.faces for one in result.rounds]
        held = sum(rounds) / len(rounds)
        if wanted is not None and abs(held - wanted) > 0.02 * wanted:
            notes.append(
                f"{result.configuration.key}: {held:.2f} faces were held on average, {wanted} were asked for"
            )
        elif wanted is None and held < 0.5:
            notes.append(
                f"{result.configuration.key}: hardly a face in these frames; the figures are about looking for one"
            )
    return notes

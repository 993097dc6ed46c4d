"""A benchmark run: every configuration in every round, so that what slows the machine slows them all."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Final

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.cuda_driver import CudaDriver
from faceaffect.bench.fresh_process import run_fresh
from faceaffect.bench.jetson_power import PowerWatch
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import LoadWatch
from faceaffect.bench.paced_camera import LiveRound, measure_live
from faceaffect.bench.record import Record, Result, Round
from faceaffect.bench.stage_round import StagePlan, measure_stages, time_decoding
from faceaffect.bench.workload import DRAWN_SIZE, make_workload
from faceaffect.pipeline import Pipeline
from faceaffect.sources.quiet_opencv import quiet_opencv
from faceaffect.types import Frame

INTERRUPTED: Final = "interrupted"

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
    fresh: bool = True
    pin: bool = False

    def steps(self, configurations: int) -> int:
        """How often `Progress` is told of something."""
        return configurations * (1 + self.rounds * (1 + len(self.live_fps) + self.fresh))


@dataclass(slots=True)
class _Prepared:
    result: Result
    pipelines: list[Pipeline] = field(default_factory=list)


def run_bench(configurations: Sequence[Configuration], settings: BenchSettings, progress: Progress) -> Record:
    """Measure. What ends it early, Ctrl-C or an error, is noted in a record of the whole rounds before it.

    It is raised where there is no whole round, and so is whatever goes wrong while pipelines and frames are prepared.
    """
    record = Record(
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=describe_machine(),
        settings=asdict(settings),
        results=[],
    )
    if settings.source is None:
        configurations = [replace(one, size=one.size or DRAWN_SIZE, faces=one.faces or 1) for one in configurations]
    with ExitStack() as stack:
        stack.callback(quiet_opencv().setNumThreads, quiet_opencv().getNumThreads())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faceaffect_bench_")))
        prepared = [_prepare(one, settings, folder, stack, progress) for one in configurations]
        record.results = [one.result for one in prepared]
        for device in sorted({one.device for one in configurations if one.device.startswith("cuda")}):
            record.machine[device] = CudaDriver(device).describe()
        power = stack.enter_context(PowerWatch())
        watch = LoadWatch()
        try:
            _run_rounds(prepared, settings, folder, power, progress)
        except (KeyboardInterrupt, Exception) as error:
            if not _keep_whole_rounds(record):
                raise
            record.incomplete = INTERRUPTED if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        record.load = watch.stop()
    for result in record.results:
        result.power = power.samples.get(result.configuration.key)
    if record.incomplete:
        rounds = len(record.results[0].rounds)
        record.notes.append(f"{rounds} of {settings.rounds} rounds were measured: {record.incomplete}")
    record.notes += [*record.load.warnings(), *([power.note] if power.note else []), *_face_notes(record.results)]
    return record


def _prepare(
    configuration: Configuration, settings: BenchSettings, folder: Path, stack: ExitStack, progress: Progress
) -> _Prepared:
    progress(f"preparing {configuration.key}")
    with _pinned(configuration if settings.pin else None):  # threads of the network stay where they are started
        pipelines = [stack.enter_context(configuration.open()) for _ in range(configuration.streams)]
    workload = make_workload(settings.source, configuration, settings.frames, folder)
    return _Prepared(Result(configuration, workload, pipelines[0].describe()), pipelines)


def _run_rounds(
    prepared: list[_Prepared], settings: BenchSettings, folder: Path, power: PowerWatch, progress: Progress
) -> None:
    order = list(enumerate(prepared, 1))
    for number in range(1, settings.rounds + 1):
        for place, one in order:
            power.label = one.result.configuration.key
            told = f"round {number}/{settings.rounds}, configuration {place}/{len(order)}"
            with _pinned(one.result.configuration if settings.pin else None):
                one.result.rounds.append(_measure(one, settings, folder, partial(_tell, progress, told)))
            power.label = ""
        # The first of a round finds another machine than the last (caches, clock rate): each is first in turn.
        order = [*order[1:], order[0]]


def _tell(progress: Progress, told: str, part: str) -> None:
    progress(f"{told}: {part}")


def _measure(one: _Prepared, settings: BenchSettings, folder: Path, progress: Progress) -> Round:
    configuration, workload = one.result.configuration, one.result.workload
    quiet_opencv().setNumThreads(configuration.threads)
    progress("stages")
    frames, decoding = time_decoding(workload.path, settings.frames)
    gc.collect()
    plan = StagePlan(frames, settings.frames, settings.warmup, workload.fps, folder, configuration.device)
    stages = measure_stages(one.pipelines, plan)
    for clock, spent in decoding.items():
        if clock in stages.clocks:
            stages.clocks[clock] = {**spent, **stages.clocks[clock]}
    measured = Round(stages)
    for fps in settings.live_fps:
        progress(f"camera at {fps:g} fps")
        measured.live[f"{fps:g}"] = _live(one, frames, fps, settings)
    if settings.fresh:
        progress("fresh process")
        rows = folder / "fresh.csv"
        measured.fresh = run_fresh(configuration.as_json(), workload.path, settings.frames, rows)
    return measured


def _live(one: _Prepared, frames: list[Frame], fps: float, settings: BenchSettings) -> LiveRound:
    """A camera of its own for each stream."""
    count = max(1, round(settings.live_s * fps))

    def measure(pipeline: Pipeline) -> LiveRound:
        return measure_live(pipeline, frames, fps, count, settings.warmup)

    with ThreadPoolExecutor(len(one.pipelines)) as threads:
        rounds = list(threads.map(measure, one.pipelines))
    return LiveRound(
        latency_ms=[ms for part in rounds for ms in part.latency_ms],
        delivered=sum(part.delivered for part in rounds),
        dropped=sum(part.dropped for part in rounds),
        late_ms=max(part.late_ms for part in rounds),
    )


@contextmanager
def _pinned(configuration: Configuration | None) -> Iterator[None]:
    """The calling thread, and what it starts, on as many cores as the configuration uses; None leaves it alone."""
    if configuration is None:
        yield
        return
    if not hasattr(os, "sched_setaffinity"):
        raise BenchError("--pin needs Linux, this system cannot pin a process; leave it out")
    before = os.sched_getaffinity(0)
    wanted = configuration.threads * configuration.streams
    os.sched_setaffinity(0, sorted(before)[:wanted])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


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
            notes.append(f"{result.configuration.key}: {held:.2f} faces were held on average, {wanted} were asked for")
        elif wanted is None and held < 0.5:
            notes.append(f"{result.configuration.key}: hardly a face in these frames; the figures are about looking for one")
    return notes

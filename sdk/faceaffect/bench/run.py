"""Runs a benchmark: each round has all configurations, so all share the machine's slow phases."""

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
from faceaffect.bench.round_worker import RoundRequest, run_round
from faceaffect.bench.workload import SYNTHETIC_SIZE, make_workload

INTERRUPTED: Final = "interrupted"
STOPPED: Final = "stopped"
_MAX_FACE_COUNT_ERROR: Final = 0.02
_MIN_MEAN_FACES: Final = 0.5
_BOUND_STEPS: Final = 10  # frame rates that a search for a latency bound measures, about

Progress = Callable[[str], None]
"""Called with the name of each step as it begins."""


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """Options shared by all configurations.

    `source` None: synthetic faces. `slo`: a latency bound such as `p99=10ms` for which the highest
    frame rate is searched. `trace`: whether the first round keeps the times of every stage.
    """

    source: str | None = None
    frames: int = 200
    rounds: int = 5
    warmup: int = 15
    camera_fps: tuple[float, ...] = (30.0, 60.0)
    camera_s: float = 2.0
    pin_cores: bool = False
    slo: str = ""
    trace: bool = False

    def steps(self, configurations: int) -> int:
        """Return the number of calls of `Progress` in a run; about, with a latency bound."""
        searches = _BOUND_STEPS if self.slo else 0
        return configurations * (1 + self.rounds * (2 + len(self.camera_fps) + searches))


def run_bench(
    configurations: Sequence[Configuration], settings: BenchSettings, on_progress: Progress
) -> Record:
    """Measure all configurations.

    An exception during the rounds (Ctrl-C, SIGTERM as `cli.signals` raises it, an error) ends the
    run early: the record then holds the complete rounds, and `Record.incomplete` the reason.

    Raises:
        BaseException: The exception above if there is no complete round, and any exception while
            pipelines and workloads are prepared.
    """
    record = Record(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=describe_machine(),
        settings=asdict(settings),
        results=[],
    )
    if settings.source is None:
        configurations = [
            replace(one, size=one.size or SYNTHETIC_SIZE, num_faces=one.num_faces or 1)
            for one in configurations
        ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faceaffect_bench_")))
        record.results = [_prepare(one, settings, folder, on_progress) for one in configurations]
        devices = {result.pipeline_info["device"] for result in record.results}
        for device in sorted(device for device in devices if device.startswith("cuda")):
            record.machine[device] = CudaDriver(device).describe()
        power = stack.enter_context(PowerMonitor())
        load = SystemLoadMonitor()
        try:
            _run_rounds(record.results, settings, folder, power, on_progress)
        except BaseException as error:
            if not _drop_incomplete_rounds(record):
                raise
            record.incomplete = _reason(error)
        record.machine_load = load.stop()
    for result in record.results:
        result.power = power.samples.get(result.configuration.key)
    if record.incomplete:
        rounds = len(record.results[0].rounds)
        record.notes.append(
            f"{rounds} of {settings.rounds} rounds were measured: {record.incomplete}"
        )
    record.notes += record.machine_load.warnings()
    if power.note:
        record.notes.append(power.note)
    record.notes += _face_count_notes(record.results)
    return record


def _reason(error: BaseException) -> str:
    if isinstance(error, Exception):
        return f"{type(error).__name__}: {error}"
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED


def _prepare(
    configuration: Configuration, settings: BenchSettings, folder: Path, on_progress: Progress
) -> Result:
    """Make the workload, and open the pipeline once: errors must appear before any measurement."""
    on_progress(f"preparing {configuration.key}")
    with configuration.open() as pipeline:
        info = pipeline.describe()
    workload = make_workload(settings.source, configuration, settings.frames, folder)
    return Result(configuration, workload, info)


def _run_rounds(
    results: list[Result],
    settings: BenchSettings,
    folder: Path,
    power: PowerMonitor,
    on_progress: Progress,
) -> None:
    order = list(enumerate(results, 1))
    for round_number in range(1, settings.rounds + 1):
        for number, result in order:
            power.label = result.configuration.key
            prefix = (
                f"round {round_number}/{settings.rounds}, configuration {number}/{len(order)}: "
            )
            result.rounds.append(
                measure_round(
                    result, settings, folder, partial(_report_with_prefix, on_progress, prefix)
                )
            )
            power.label = ""
        # The first configuration of a round runs with other caches and clock rates than the last:
        # the order rotates.
        order = [*order[1:], order[0]]


def _report_with_prefix(on_progress: Progress, prefix: str, step: str) -> None:
    on_progress(prefix + step)


def measure_round(
    result: Result, settings: BenchSettings, folder: Path, on_progress: Progress
) -> Round:
    """Measure one round of a result's configuration in a new process.

    Raises:
        BenchError: The process failed.
    """
    request = RoundRequest(
        configuration=result.configuration.as_json(),
        video=result.workload.path,
        fps=result.workload.fps,
        frames=settings.frames,
        warmup=settings.warmup,
        camera_fps=list(settings.camera_fps),
        camera_s=settings.camera_s,
        folder=str(folder),
        cores=_cores(result.configuration) if settings.pin_cores else [],
        slo=settings.slo,
        keeps_spans=settings.trace and not result.rounds,
    )
    return Round.from_json(run_round(request, on_progress))


def _cores(configuration: Configuration) -> list[int]:
    """Return as many cores as the configuration uses."""
    if not hasattr(os, "sched_getaffinity"):
        raise BenchError("--pin-cores needs Linux, this system cannot pin a process; omit it")
    return sorted(os.sched_getaffinity(0))[: configuration.threads * configuration.streams]


def _drop_incomplete_rounds(record: Record) -> int:
    """Drop rounds that only some configurations have; return the number of rounds left."""
    complete = min(len(result.rounds) for result in record.results)
    for result in record.results:
        del result.rounds[complete:]
    return complete


def _face_count_notes(results: list[Result]) -> list[str]:
    """Return notes on results with another number of tracked faces than configured."""
    notes = []
    for result in results:
        expected = result.configuration.num_faces
        mean = sum(one.stages.mean_faces for one in result.rounds) / len(result.rounds)
        key = result.configuration.key
        if expected is not None and abs(mean - expected) > _MAX_FACE_COUNT_ERROR * expected:
            notes.append(f"{key}: expected {expected} tracked faces, got {mean:.2f} on average")
        elif expected is None and mean < _MIN_MEAN_FACES:
            notes.append(f"{key}: few frames have a face; the metrics are about detecting one")
    return notes

"""Metrics by which results are compared: one value per round, so that their spread is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.bench.cold_start import ColdStart
from faceaffect.bench.record import Result, Round
from faceaffect.bench.stage_timing import ALL_STAGES, TOTAL

BOUNDED_FPS: Final = "highest frame rate within the latency bound"
CLOCK_NAMES: Final[dict[str, str]] = {"wall": "wall", "cpu": "process CPU", "event": "GPU event"}

_COLD_START: Final[tuple[tuple[str, str, str, Callable[[ColdStart], float | None]], ...]] = (
    ("cpu", "import, process CPU", "s", lambda one: one.import_cpu_s),
    ("wall", "import, wall", "s", lambda one: one.import_wall_s),
    ("cpu", "first result, process CPU", "s", lambda one: one.first_cpu_s),
    ("wall", "first result, wall", "s", lambda one: one.first_wall_s),
    ("wall", "file to rows", "fps", lambda one: one.file_fps),
    ("cpu", "file to rows, CPU time per frame", "ms", lambda one: one.file_cpu_ms),
    ("", "peak memory, host", "MB", lambda one: one.host_peak_mb),
    ("", "peak memory, GPU", "MB", lambda one: one.device_peak_mb),
)  # clock, name, unit, value


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a result.

    `group` is reference, stages, throughput, camera or cold_start; `clock` is wall, cpu or event,
    and empty for metrics that are not times. `rounds` has one value per round.
    """

    group: str
    clock: str
    name: str
    unit: str
    rounds: list[float]
    is_higher_better: bool = False

    @property
    def median(self) -> float:
        """Median over rounds."""
        return float(np.median(self.rounds))


def metrics_of(result: Result) -> list[Metric]:
    """Return the metrics that were measured in every round, in the order of a report."""
    return [
        metric
        for metric in _all_metrics(result)
        if metric.rounds and len(metric.rounds) == len(result.rounds)
    ]


def _all_metrics(result: Result) -> Iterator[Metric]:
    rounds = result.rounds
    for clock in ("wall", "cpu"):
        values = [one.reference_ms[clock] for one in rounds]
        name = f"reference workload, {CLOCK_NAMES[clock]}"
        yield Metric("reference", clock, name, "ms", values)
    for clock in rounds[0].stages.clocks if rounds else ():
        yield from _stage_metrics(rounds, clock)
    cpu_ms = [one.stages.cpu_ms for one in rounds]
    yield Metric("throughput", "cpu", "CPU time per frame, all threads", "ms", cpu_ms)
    fps = [one.stages.throughput_fps for one in rounds]
    yield Metric("throughput", "wall", "throughput from memory", "fps", fps, is_higher_better=True)
    energy_mj = [one.stages.energy_mj for one in rounds if one.stages.energy_mj is not None]
    source = rounds[0].stages.energy_source if rounds else ""
    yield Metric("throughput", "", f"energy per frame ({source})", "mJ", energy_mj)
    bounded_fps = [one.bounded_fps for one in rounds if one.bounded_fps is not None]
    yield Metric("camera", "wall", BOUNDED_FPS, "fps", bounded_fps, is_higher_better=True)
    for camera_fps in rounds[0].camera if rounds else ():
        yield from _camera_metrics(rounds, camera_fps)
    for clock, name, unit, value_of in _COLD_START:
        optional = [value_of(one.cold_start) for one in rounds]
        values = [value for value in optional if value is not None]
        yield Metric("cold_start", clock, name, unit, values, is_higher_better=unit == "fps")


def _stage_metrics(rounds: list[Round], clock: str) -> Iterator[Metric]:
    label = CLOCK_NAMES.get(clock, clock)

    def metric(stage: str, percentile: int | None) -> Metric:
        samples = [one.stages.clocks.get(clock, {}).get(stage) for one in rounds]
        if percentile is None:
            statistic = "mean"
            values = [float(np.mean(times_ms)) for times_ms in samples if times_ms]
        else:
            statistic = f"p{percentile}"
            values = [
                float(np.percentile(times_ms, percentile)) for times_ms in samples if times_ms
            ]
        return Metric("stages", clock, f"{stage} {statistic}, {label}", "ms", values)

    for percentile in (50, 95, 99):
        yield metric(TOTAL, percentile)
    for stage in ALL_STAGES:
        # The detector does not run in most frames: its median is 0, its mean is its cost.
        yield metric(stage, None if stage == "detect" else 50)


def _camera_metrics(rounds: list[Round], fps: str) -> Iterator[Metric]:
    cameras = [one.camera[fps] for one in rounds if fps in one.camera]
    for percentile in (50, 95, 99):
        values = [
            float(np.percentile(camera.latency_ms, percentile))
            for camera in cameras
            if camera.latency_ms
        ]
        name = f"latency p{percentile}, camera at {fps} fps"
        yield Metric("camera", "wall", name, "ms", values)
    dropped = [100 * camera.dropped / camera.delivered for camera in cameras]
    yield Metric("camera", "", f"dropped, camera at {fps} fps", "%", dropped)

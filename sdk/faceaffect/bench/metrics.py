"""The figures of a result by which runs are judged: one number a round, so that their spread can be
seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.bench.record import Result, Round
from faceaffect.bench.stage_timing import ALL_STAGES, TOTAL

CLOCK_NAMES: Final[dict[str, str]] = {"wall": "wall", "cpu": "process CPU", "event": "GPU event"}


@dataclass(frozen=True, slots=True)
class Metric:
    """`rounds` holds one value a round; `group` is reference, stages, throughput, live or fresh.

    `clock` is wall, cpu or event; empty where no clock took part.
    """

    group: str
    clock: str
    name: str
    unit: str
    rounds: list[float]
    is_higher_better: bool = False

    @property
    def median(self) -> float:
        return float(np.median(self.rounds))


def metrics_of(result: Result) -> list[Metric]:
    """All that was measured in every round, in the order of a report."""
    return [
        metric
        for metric in _all_metrics(result)
        if metric.rounds and len(metric.rounds) == len(result.rounds)
    ]


def _all_metrics(result: Result) -> Iterator[Metric]:
    rounds = result.rounds
    clocks = rounds[0].stages.clocks if rounds else {}
    for clock in ("wall", "cpu"):
        values = [one.reference_ms[clock] for one in rounds]
        yield Metric(
            "reference",
            clock,
            f"the machine itself (fixed work), {CLOCK_NAMES[clock]}",
            "ms",
            values,
        )
    for clock, stages in clocks.items():
        label = CLOCK_NAMES.get(clock, clock)
        for percentile in (50, 95, 99):
            yield _of_samples(f"{TOTAL} p{percentile}, {label}", rounds, clock, TOTAL, percentile)
        for stage in ALL_STAGES:
            if stage in stages:
                # The detector rests in most frames: its median says nothing, its mean is what it
                # costs.
                yield _of_samples(
                    f"{stage} {'mean' if stage == 'detect' else 'p50'}, {label}",
                    rounds,
                    clock,
                    stage,
                    50,
                )
    yield Metric(
        "throughput",
        "cpu",
        "processor time per frame, all threads",
        "ms",
        [one.stages.cpu_ms for one in rounds],
    )
    yield Metric(
        "throughput",
        "wall",
        "throughput from memory",
        "fps",
        [one.stages.fps for one in rounds],
        is_higher_better=True,
    )
    for fps in rounds[0].live if rounds else {}:
        live = [one.live[fps] for one in rounds if fps in one.live]
        for percentile in (50, 95, 99):
            values = [
                float(np.percentile(one.latency_ms, percentile)) for one in live if one.latency_ms
            ]
            yield Metric(
                "live", "wall", f"latency p{percentile}, camera at {fps} fps", "ms", values
            )
        yield Metric(
            "live",
            "",
            f"dropped, camera at {fps} fps",
            "%",
            [100 * one.dropped / one.delivered for one in live],
        )
    yield from _fresh_metrics(rounds)


def _of_samples(name: str, rounds: list[Round], clock: str, stage: str, percentile: int) -> Metric:
    samples = [
        one.stages.clocks[clock][stage]
        for one in rounds
        if one.stages.clocks.get(clock, {}).get(stage)
    ]
    reduce: Callable[[list[float]], float] = lambda values: float(np.percentile(values, percentile))  # noqa: E731
    if stage == "detect":
        reduce = lambda values: float(np.mean(values))  # noqa: E731
    return Metric("stages", clock, name, "ms", [reduce(values) for values in samples])


def _fresh_metrics(rounds: list[Round]) -> Iterator[Metric]:
    fresh = [one.fresh for one in rounds]
    yield Metric("fresh", "cpu", "import, process CPU", "s", [one.import_cpu_s for one in fresh])
    yield Metric("fresh", "wall", "import, wall", "s", [one.import_wall_s for one in fresh])
    yield Metric(
        "fresh", "cpu", "first result, process CPU", "s", [one.first_cpu_s for one in fresh]
    )
    yield Metric("fresh", "wall", "first result, wall", "s", [one.first_wall_s for one in fresh])
    yield Metric(
        "fresh",
        "wall",
        "file to rows",
        "fps",
        [one.file_fps for one in fresh],
        is_higher_better=True,
    )
    yield Metric(
        "fresh",
        "cpu",
        "file to rows, processor time per frame",
        "ms",
        [one.file_cpu_ms for one in fresh],
    )
    yield Metric("fresh", "", "peak memory, host", "MB", [one.host_peak_mb for one in fresh])
    lost_mb = [one.device_peak_mb for one in fresh if one.device_peak_mb is not None]
    yield Metric("fresh", "", "peak memory, GPU", "MB", lost_mb)

"""Records and comparisons as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from faceaffect.bench.compare import Change, Comparison, Verdict
from faceaffect.bench.configuration import counted
from faceaffect.bench.latency_bound import LatencyBound
from faceaffect.bench.metrics import CLOCK_NAMES, Metric, metrics_of
from faceaffect.bench.percentiles import Distribution
from faceaffect.bench.record import Record, Result
from faceaffect.bench.stage_timing import ALL_STAGES, TOTAL

DISTRIBUTION_COLUMNS: Final = ("p50", "p90", "p95", "p99", "max", "mean", "jitter")
METRIC_COLUMNS: Final = ("metric", "median of rounds", "unit", "range of rounds")
TOTAL_NOTE: Final = (
    "total is the time from a decoded frame to its result: all stages but decode and write"
)
_STYLES: Final = {
    Verdict.BETTER: "green",
    Verdict.WORSE: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.MACHINE_BUSY: "yellow",
}


def print_record(record: Record, console: Console) -> None:
    """Print the tables of every configuration."""
    for title, result in zip(titles(record.results), record.results, strict=True):
        console.print(Text(title, style="bold"))
        slo = str(record.settings.get("slo") or "")
        console.print(Text(headline(result, slo), style="bold green"), soft_wrap=True)
        console.print(Text(describe(result), style="dim"), soft_wrap=True)
        for clock in result.rounds[0].stages.clocks:
            console.print(_stage_table(result, clock))
        console.print(_metric_table(result))
        if result.power is not None and result.power.watts:
            console.print(Text(describe_power(result)))
        console.print()
    console.print(Text(TOTAL_NOTE, style="dim"))
    for note in record.notes:
        console.print(Text(f"note: {note}", style="yellow"))


def titles(results: Sequence[Result]) -> list[str]:
    """Name each result by what it differs in; a single one by all that was measured.

    `auto` is replaced by what ran.
    """
    parts = [_title_parts(result) for result in results]
    whole = [", ".join(one.values()) for one in parts]
    names = dict.fromkeys(name for one in parts for name in one)
    differing = [name for name in names if len({one.get(name) for one in parts}) > 1]
    short = [", ".join(one[name] for name in differing if name in one) for one in parts]
    if len(results) == 1:
        return whole
    if len(set(short)) < len(short) or not all(short):  # `auto` beside what it stands for
        return [result.configuration.key for result in results]
    return short


def _title_parts(result: Result) -> dict[str, str]:
    configuration, ran = result.configuration, result.pipeline_info
    backend = ran.get("backend", configuration.backend).partition(" ")[0]
    precision = ran.get("precision", configuration.precision)
    device = ran.get("device", configuration.device)
    faces = configuration.num_faces
    width, height = configuration.size or result.workload.size
    return {
        "model": f"{ran.get('model', configuration.model or 'default')} model",
        "backend": f"{backend} {precision} on {device}",
        "size": f"{width}x{height}",
        "faces": "faces of the source" if faces is None else counted(faces, "face"),
        "threads": counted(configuration.threads, "thread"),
        "streams": counted(configuration.streams, "stream"),
        **configuration.unusual_options(),
    }


def headline(result: Result, slo: str = "") -> str:
    """Return the main metrics in one line, with 95 % bootstrap intervals.

    Args:
        result: Result of one configuration.
        slo: Latency bound of the settings, such as `p99=10ms`; empty if there is none.
    """
    total = result.distribution("wall", TOTAL)
    if not total.count:
        return ""
    intervals = result.intervals("wall", TOTAL)

    def with_interval(value: float, percentile: int) -> str:
        low, high = (format_number(bound) for bound in intervals[percentile])
        return f"{format_number(value)} ms (95 % interval {low} to {high})"

    fps = np.median([one.stages.throughput_fps for one in result.rounds])
    text = (
        f"median {with_interval(total.p50, 50)} per frame, p99 {with_interval(total.p99, 99)}, "
        f"{format_number(float(fps))} frames per second"
    )
    bounded = [one.bounded_fps for one in result.rounds if one.bounded_fps is not None]
    if bounded:
        bound = LatencyBound.parse(slo)
        text += f", camera of up to {np.median(bounded):.0f} fps with {bound}"
    return text


def describe(result: Result) -> str:
    """Describe the workload and the pipeline in one line."""
    info = ", ".join(f"{name} {value}" for name, value in result.pipeline_info.items())
    return f"{result.workload.description}; {info}"


def describe_power(result: Result) -> str:
    """Describe power and temperature in one line; empty if they were not measured."""
    power = result.power
    if power is None or not power.watts:
        return ""
    mean_w = sum(power.watts) / len(power.watts)
    text = f"board power {mean_w:.1f} W, at most {max(power.watts):.1f} W"
    if power.max_temperature_deg_c:
        text += f", hottest sensor {max(power.max_temperature_deg_c):.0f} °C"
    return text


def stage_rows(result: Result, clock: str) -> list[tuple[str, ...]]:
    """Return stage and `DISTRIBUTION_COLUMNS` in ms, in processing order, the total last."""
    measured = result.rounds[0].stages.clocks.get(clock, {})
    return [
        (stage, *_format_distribution(result.distribution(clock, stage)))
        for stage in (*ALL_STAGES, TOTAL)
        if stage in measured
    ]


def stage_title(result: Result, clock: str) -> str:
    """Return the title of the table of `stage_rows`."""
    count = result.distribution(clock, TOTAL).count
    return f"{CLOCK_NAMES.get(clock, clock)}, ms per frame, {count} frames"


def metric_rows(result: Result) -> list[tuple[str, ...]]:
    """Return `METRIC_COLUMNS` of all metrics but those of stages."""
    return [
        (metric.name, format_number(metric.median), metric.unit, format_range(metric))
        for metric in metrics_of(result)
        if metric.group != "stages"
    ]


def format_range(metric: Metric) -> str:
    """Format the smallest and the largest round."""
    return f"{format_number(min(metric.rounds))} to {format_number(max(metric.rounds))}"


def format_number(value: float) -> str:
    """Format a number with three significant digits, or all digits of its integer part."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _format_distribution(distribution: Distribution) -> list[str]:
    return [f"{getattr(distribution, name):.3f}" for name in DISTRIBUTION_COLUMNS]


def _stage_table(result: Result, clock: str) -> Table:
    table = Table(title=stage_title(result, clock), title_justify="left")
    table.add_column("stage")
    for name in DISTRIBUTION_COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in stage_rows(result, clock):
        table.add_row(*row, style="bold" if row[0] == TOTAL else None)
    return table


def _metric_table(result: Result) -> Table:
    table = Table()
    for name in METRIC_COLUMNS:
        justify = "right" if name.startswith("median") else "left"
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in metric_rows(result):
        table.add_row(*map(escape, row))
    return table


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a table of changes per configuration, and what else differs."""
    for key, changes in comparison.changes.items():
        table = Table(title=escape(key), title_justify="left")
        table.add_column("metric", no_wrap=True)
        table.add_column("first", justify="right", no_wrap=True)
        table.add_column("second", justify="right", no_wrap=True)
        table.add_column("unit", no_wrap=True)
        table.add_column("change", justify="right", no_wrap=True)
        table.add_column("rounds of the first", no_wrap=True)
        table.add_column("rounds of the second", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for change in changes:
            table.add_row(*_cells(change), style=_STYLES.get(change.verdict, "dim"))
        console.print(table)
        counts = {one: sum(change.verdict is one for change in changes) for one in Verdict}
        always_shown = (Verdict.BETTER, Verdict.WORSE)
        console.print(
            Text(
                ", ".join(
                    f"{count} {verdict.value}"
                    for verdict, count in counts.items()
                    if count or verdict in always_shown
                )
            )
        )
    for line in (*comparison.unmatched, *comparison.notes):
        console.print(Text(f"note: {line}", style="yellow"), soft_wrap=True)


def _cells(change: Change) -> list[str]:
    before = change.before
    after = change.after
    percent = f"{100 * (change.ratio - 1):+.1f} %" if change.ratio == change.ratio else "-"
    cells = [
        before.name,
        format_number(before.median),
        format_number(after.median),
        before.unit,
        percent,
        format_range(before),
        format_range(after),
    ]
    return [*map(escape, cells), change.verdict.value]

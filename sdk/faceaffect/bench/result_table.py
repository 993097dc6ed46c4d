"""A record as tables for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from faceaffect.bench.compare import Change, Comparison, Verdict
from faceaffect.bench.metrics import CLOCK_NAMES, Metric, metrics_of
from faceaffect.bench.percentiles import Distribution
from faceaffect.bench.record import Record, Result
from faceaffect.bench.stage_timing import ALL_STAGES, TOTAL

COLUMNS = ("p50", "p90", "p95", "p99", "max", "mean", "jitter")
WHOLE_ABOUT = (
    "whole is everything between a decoded frame and its result: all stages but decode and write"
)
_STYLES = {
    Verdict.BETTER: "green",
    Verdict.WORSE: "red",
    Verdict.UNKNOWN: "yellow",
    Verdict.BUSY: "yellow",
}


def print_record(record: Record, console: Console) -> None:
    for result in record.results:
        console.print(Text(result.configuration.key, style="bold"))
        runs = ", ".join(f"{name} {value}" for name, value in result.runs.items())
        console.print(Text(f"{result.workload.about}; {runs}", style="dim"), soft_wrap=True)
        for clock in result.rounds[0].stages.clocks:
            console.print(_stage_table(result, clock))
        console.print(
            _figure_table([metric for metric in metrics_of(result) if metric.group != "stages"])
        )
        if result.power is not None and result.power.watts:
            console.print(Text(power_line(result)))
        console.print()
    console.print(Text(WHOLE_ABOUT, style="dim"))
    for note in record.notes:
        console.print(Text(f"note: {note}", style="yellow"))


def stage_rows(result: Result, clock: str) -> list[tuple[str, Distribution]]:
    """What was measured on a clock, in the order in which a frame meets it; the whole last."""
    measured = result.rounds[0].stages.clocks.get(clock, {})
    return [
        (stage, result.distribution(clock, stage))
        for stage in (*ALL_STAGES, TOTAL)
        if stage in measured
    ]


def figures(distribution: Distribution) -> list[str]:
    """The columns, in milliseconds."""
    return [f"{getattr(distribution, name):.3f}" for name in COLUMNS]


def spread(metric: Metric) -> str:
    """Least to largest round."""
    return f"{number(min(metric.rounds))} to {number(max(metric.rounds))}"


def number(value: float) -> str:
    """Three significant digits, and never fewer than the whole part."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def power_line(result: Result) -> str:
    """Mean and peak of what the board drew and how hot it became."""
    power = result.power
    if power is None or not power.watts:
        return ""
    hottest = f", hottest sensor {max(power.hottest_deg_c):.0f} °C" if power.hottest_deg_c else ""
    return f"board power {sum(power.watts) / len(power.watts):.1f} W, at most {max(power.watts):.1f} W{hottest}"


def _stage_table(result: Result, clock: str) -> Table:
    count = result.distribution(clock, TOTAL).count
    table = Table(
        title=f"{CLOCK_NAMES.get(clock, clock)}, ms per frame, {count} frames", title_justify="left"
    )
    table.add_column("stage")
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for stage, distribution in stage_rows(result, clock):
        table.add_row(stage, *figures(distribution), style="bold" if stage == TOTAL else None)
    return table


def _figure_table(metrics: list[Metric]) -> Table:
    table = Table()
    for name in ("figure", "median of rounds", "", "rounds"):
        table.add_column(
            name, justify="right" if name.startswith("median") else "left", no_wrap=True
        )
    for metric in metrics:
        table.add_row(escape(metric.name), number(metric.median), metric.unit, spread(metric))
    return table


def print_comparison(comparison: Comparison, console: Console) -> None:
    for key, changes in comparison.changes.items():
        table = Table(title=escape(key), title_justify="left")
        for name in (
            "figure",
            "first",
            "second",
            "",
            "change",
            "rounds of the first",
            "of the second",
            "verdict",
        ):
            table.add_column(
                name,
                justify="right" if name in ("first", "second", "change") else "left",
                no_wrap=True,
            )
        for change in changes:
            table.add_row(*_cells(change), style=_STYLES.get(change.verdict, "dim"))
        console.print(table)
        counts = {one: sum(change.verdict is one for change in changes) for one in Verdict}
        told = [
            f"{count} {one.value}"
            for one, count in counts.items()
            if count or one in (Verdict.BETTER, Verdict.WORSE)
        ]
        console.print(Text(", ".join(told)))
    for line in (*comparison.unmatched, *comparison.notes):
        console.print(Text(f"note: {line}", style="yellow"), soft_wrap=True)


def _cells(change: Change) -> list[str]:
    before, after = change.before, change.after
    percent = f"{100 * (change.ratio - 1):+.1f} %" if change.ratio == change.ratio else "-"
    cells = [
        before.name,
        number(before.median),
        number(after.median),
        before.unit,
        percent,
        spread(before),
        spread(after),
    ]
    return [*map(escape, cells), change.verdict.value]

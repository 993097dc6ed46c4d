"""A record as an HTML page; `report.html` is its template."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.metrics import CLOCK_NAMES, metrics_of
from faceaffect.bench.plots import (
    plot_against,
    plot_cameras,
    plot_histogram,
    plot_over_time,
    plot_stages,
    short_names,
)
from faceaffect.bench.record import Record, Result
from faceaffect.bench.result_table import (
    DISTRIBUTION_COLUMNS,
    METRIC_COLUMNS,
    TOTAL_NOTE,
    describe,
    describe_power,
    format_number,
    format_range,
    headline,
    metric_rows,
    stage_rows,
    stage_title,
)
from faceaffect.bench.stage_timing import TOTAL
from faceaffect.pages import missing_packages, render_page, write_page
from faceaffect.system.install_command import install_command

_TEMPLATE: Final = Path(__file__).with_name("report.html")
_OVERVIEW_METRICS: Final = (
    f"{TOTAL} p50, {CLOCK_NAMES['wall']}",
    f"{TOTAL} p99, {CLOCK_NAMES['wall']}",
    f"{TOTAL} p50, {CLOCK_NAMES['cpu']}",
    "throughput from memory",
    "peak memory, host",
    "first result, wall",
)


def check_packages() -> None:
    """Check that pages can be written.

    Raises:
        BenchError: A package is missing.
    """
    if missing := missing_packages():
        raise BenchError(
            f"the HTML report needs {missing}: run {install_command('bench')}, "
            "or use --save-json here and --load with --save-html elsewhere"
        )


def write_report(record: Record, path: Path) -> None:
    """Replace `path` atomically with the page of a record.

    Raises:
        BenchError: A package is missing.
    """
    check_packages()
    write_page(report_page(record), path)


def report_page(record: Record) -> str:
    """Render a record as HTML."""
    from markupsafe import Markup

    plots = [
        (f"Time by stage, {CLOCK_NAMES[clock]}", plot_stages(record, clock))
        for clock in ("cpu", "wall", "event")
    ]
    plots.append(("Latency by number of faces", plot_against(record, "num_faces")))
    plots.append(("Latency by frame size", plot_against(record, "size")))
    return render_page(
        _TEMPLATE,
        title=f"faceaffect bench, {record.created}",
        headlines=_headlines(record),
        notes=record.notes,
        overview=_overview(record),
        total_note=TOTAL_NOTE,
        plots=[{"title": title, "svg": Markup(svg)} for title, svg in plots if svg],
        stage_header=("stage", *DISTRIBUTION_COLUMNS),
        metric_header=METRIC_COLUMNS,
        results=[_result(result) for result in record.results],
        machine=list(record.machine.items()),
        settings=[(name, str(value)) for name, value in record.settings.items()],
    )


def _headlines(record: Record) -> list[dict[str, str]]:
    slo = str(record.settings.get("slo") or "")
    names = short_names([result.configuration for result in record.results])
    return [
        {"name": name if len(names) > 1 else "", "text": headline(result, slo)}
        for name, result in zip(names, record.results, strict=True)
    ]


def _overview(record: Record) -> dict[str, Any]:
    names = short_names([result.configuration for result in record.results])
    measured = [{metric.name: metric for metric in metrics_of(result)} for result in record.results]
    columns = [name for name in _OVERVIEW_METRICS if any(name in metrics for metrics in measured)]
    rows = []
    for name, metrics in zip(names, measured, strict=True):
        cells = [
            f"{format_number(metric.median)} {metric.unit} ({format_range(metric)})"
            if (metric := metrics.get(column))
            else ""
            for column in columns
        ]
        rows.append((name, *cells))
    return {"header": ("", *columns), "rows": rows}


def _result(result: Result) -> dict[str, Any]:
    from markupsafe import Markup

    plots = (plot_histogram(result), plot_over_time(result), plot_cameras(result))
    return {
        "title": result.configuration.key,
        "about": describe(result),
        "clocks": [
            {"title": stage_title(result, clock), "rows": stage_rows(result, clock)}
            for clock in result.rounds[0].stages.clocks
        ],
        "plots": [Markup(svg) for svg in plots if svg],
        "metrics": metric_rows(result),
        "power": describe_power(result),
    }

"""A record as an HTML page; `report.html` is its template."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.latency_bound import LatencyBound
from faceaffect.bench.metrics import CLOCK_NAMES, metrics_of
from faceaffect.bench.plots import (
    plot_against,
    plot_cameras,
    plot_histogram,
    plot_over_time,
    plot_stages,
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
    titles,
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

_HUMP: Final = (
    "The detector runs in some frames only; where it runs inside of a frame, these frames are a "
    "second hump."
)
_SETTINGS: Final = {
    "frames": "frames per round",
    "warmup": "warm-up frames",
    "camera_fps": "frame rates of the camera, fps",
    "camera_s": "time of each camera, s",
    "pin_cores": "pinned to cores",
    "slo": "latency bound",
    "trace": "times of every stage kept",
}


def check_packages() -> None:
    """Check that pages can be written.

    Raises:
        BenchError: A package is missing.
    """
    if missing := missing_packages("matplotlib.figure"):
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
    names = titles(record.results)
    plots.append(("Latency by number of faces", plot_against(record, "num_faces")))
    plots.append(("Latency by frame size", plot_against(record, "size")))
    return render_page(
        _TEMPLATE,
        title="faceaffect bench",
        about=_about(record),
        figures=_figures(record),
        headlines=_headlines(record, names),
        notes=record.notes,
        overview=_overview(record, names),
        total_note=TOTAL_NOTE,
        plots=[{"title": title, "svg": Markup(svg)} for title, svg in plots if svg],
        stage_header=("stage", *DISTRIBUTION_COLUMNS),
        metric_header=METRIC_COLUMNS,
        results=[
            _result(title, result) for title, result in zip(names, record.results, strict=True)
        ],
        machine=list(record.machine.items()),
        settings=[(_SETTINGS.get(name, name), _text(v)) for name, v in record.settings.items()],
    )


def _about(record: Record) -> str:
    """Return when and on what a record was measured."""
    try:
        created = f"{datetime.fromisoformat(record.created):%Y-%m-%d %H:%M %Z}"
    except ValueError:
        created = record.created
    machine = record.machine
    facts = [machine.get("processor", "")]
    if cores := machine.get("cores"):
        facts.append(f"{cores} cores")
    return ", ".join(fact for fact in (f"measured {created}", *facts) if fact)


def _figures(record: Record) -> list[tuple[str, str]]:
    """Return the main numbers and what they are, as a range over several configurations."""
    totals = [result.distribution("wall", TOTAL) for result in record.results]
    totals = [total for total in totals if total.count]
    if not totals:
        return []
    throughput = [
        float(np.median([one.stages.throughput_fps for one in result.rounds]))
        for result in record.results
        if result.rounds
    ]
    figures = [
        (f"{_span([total.p50 for total in totals])} ms", "median time of a frame"),
        (f"{_span([total.p99 for total in totals])} ms", "99th percentile"),
        (f"{_span(throughput)} fps", "throughput"),
    ]
    rounds = [one for result in record.results for one in result.rounds]
    if bounded := [one.bounded_fps for one in rounds if one.bounded_fps is not None]:
        bound = LatencyBound.parse(str(record.settings["slo"]))
        figures.append((f"{np.median(bounded):.0f} fps", f"camera with {bound}"))
    return figures


def _span(values: list[float]) -> str:
    """Format the smallest and the largest value, or the only one."""
    ends = dict.fromkeys(map(format_number, (min(values), max(values))))
    return " to ".join(ends)


def _text(value: object) -> str:
    """Format a setting."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value not in (None, "") else "none"


def _headlines(record: Record, names: list[str]) -> list[dict[str, str]]:
    slo = str(record.settings.get("slo") or "")
    return [
        {"name": name if len(names) > 1 else "", "text": headline(result, slo)}
        for name, result in zip(names, record.results, strict=True)
    ]


def _overview(record: Record, names: list[str]) -> dict[str, Any]:
    from markupsafe import Markup

    cell = Markup('{} {}<br><span class="interval">{}</span>')
    measured = [{metric.name: metric for metric in metrics_of(result)} for result in record.results]
    columns = [name for name in _OVERVIEW_METRICS if any(name in metrics for metrics in measured)]
    rows = []
    for name, metrics in zip(names, measured, strict=True):
        cells = [
            cell.format(format_number(metric.median), metric.unit, format_range(metric))
            if (metric := metrics.get(column))
            else ""
            for column in columns
        ]
        rows.append((name, *cells))
    return {"header": ("configuration", *columns), "rows": rows}


def _result(title: str, result: Result) -> dict[str, Any]:
    from markupsafe import Markup

    plots = (
        ("Distribution of the time of a frame", plot_histogram(result), _HUMP),
        ("Time of each frame", plot_over_time(result), ""),
        ("Results of a camera by their latency", plot_cameras(result), ""),
    )
    return {
        "title": title,
        "about": describe(result),
        "clocks": [
            {"title": stage_title(result, clock), "rows": stage_rows(result, clock)}
            for clock in result.rounds[0].stages.clocks
        ],
        "plots": [
            {"title": title, "svg": Markup(svg), "about": about}
            for title, svg, about in plots
            if svg
        ],
        "metrics": metric_rows(result),
        "power": describe_power(result),
    }

"""A record as one page that needs nothing else: no script, no font, no image from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from faceaffect.bench.metrics import CLOCK_NAMES, metrics_of
from faceaffect.bench.plots import (
    plot_against,
    plot_histogram,
    plot_live,
    plot_over_time,
    plot_stages,
    require_matplotlib,
    short_names,
)
from faceaffect.bench.record import Record, Result
from faceaffect.bench.result_table import (
    COLUMNS,
    WHOLE_ABOUT,
    figures,
    number,
    power_line,
    spread,
    stage_rows,
)
from faceaffect.bench.stage_timing import TOTAL

_CSS: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .15rem .7rem .15rem 0; text-align: right; } th { color: #666; font-weight: 500; }
th:first-child, td:first-child { text-align: left; } tr.whole td { font-weight: 600; border-top: 1px solid #ccc; }
td.text { text-align: left; } .about { color: #666; } .note { background: #fff4d6; padding: .4rem .8rem; margin: .3rem 0; }
svg { max-width: 100%; height: auto; } footer { color: #666; margin-top: 3rem; font-size: .85rem; }
""".strip()


def write_report(record: Record, path: Path) -> None:
    """Write the page in one step. Raises BenchError without matplotlib."""
    require_matplotlib()
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(report_page(record), encoding="utf-8")
    partial.replace(path)


def report_page(record: Record) -> str:
    names = short_names([result.configuration for result in record.results])
    parts = [f"<h1>faceaffect bench, {escape(record.made)}</h1>"]
    parts += [f'<p class="note">{escape(note)}</p>' for note in record.notes]
    parts += [
        "<h2>At a glance</h2>",
        _overview(record, names),
        f'<p class="about">{escape(WHOLE_ABOUT)}; {_SPREAD_ABOUT}</p>',
    ]
    for clock in ("cpu", "wall", "event"):
        parts += _drawn(f"Where the time goes, {CLOCK_NAMES[clock]}", plot_stages(record, clock))
    parts += _drawn("Versus faces", plot_against(record, "faces"))
    parts += _drawn("Versus resolution", plot_against(record, "size"))
    for result in record.results:
        parts += _result(result)
    parts += [
        "<h2>Machine and versions</h2>",
        _table(("", ""), [(name, fact) for name, fact in record.machine.items()]),
    ]
    settings = [(name, str(value)) for name, value in record.settings.items()]
    parts += [
        "<h2>Settings</h2>",
        _table(("", ""), settings),
        f"<footer>{escape(_FOOTER)}</footer>",
    ]
    head = f'<meta charset="utf-8"><title>faceaffect bench</title>\n<style>\n{_CSS}\n</style>'
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n'
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


_SPREAD_ABOUT: Final = "medians over rounds, in brackets the least and the largest round"
_FOOTER: Final = (
    "Percentiles are over the frames of all rounds. Jitter is the mean absolute difference of one frame to the next. Process "
    "CPU is the processor time of all threads, measured in a pass of its own. Camera latency runs from the moment at which the "
    "camera has a frame to its result."
)


def _overview(record: Record, names: list[str]) -> str:
    wanted = [f"{TOTAL} p50, {CLOCK_NAMES['wall']}", f"{TOTAL} p99, {CLOCK_NAMES['wall']}"]
    wanted += [
        f"{TOTAL} p50, {CLOCK_NAMES['cpu']}",
        "throughput from memory",
        "peak memory, host",
        "first result, wall",
    ]
    measured = [{metric.name: metric for metric in metrics_of(result)} for result in record.results]
    shown = [name for name in wanted if any(name in metrics for metrics in measured)]
    rows = []
    for name, metrics in zip(names, measured, strict=True):
        found = [metrics.get(wanted_name) for wanted_name in shown]
        cells = [f"{number(one.median)} {one.unit} ({spread(one)})" if one else "" for one in found]
        rows.append((name, *cells))
    return _table(("", *shown), rows)


def _result(result: Result) -> list[str]:
    runs = ", ".join(f"{name} {value}" for name, value in result.runs.items())
    parts = [
        f"<h2>{escape(result.configuration.key)}</h2>",
        f'<p class="about">{escape(f"{result.workload.about}; {runs}")}</p>',
    ]
    for clock in result.rounds[0].stages.clocks:
        rows = [
            (stage, *figures(distribution)) for stage, distribution in stage_rows(result, clock)
        ]
        count = result.distribution(clock, TOTAL).count
        parts += [
            f"<h3>{CLOCK_NAMES.get(clock, clock)}, ms per frame, {count} frames</h3>",
            _table(("stage", *COLUMNS), rows),
        ]
    parts += (
        _drawn("", plot_histogram(result))
        + _drawn("", plot_over_time(result))
        + _drawn("", plot_live(result))
    )
    metrics = [metric for metric in metrics_of(result) if metric.group != "stages"]
    rows = [(metric.name, number(metric.median), metric.unit, spread(metric)) for metric in metrics]
    parts.append(_table(("figure", "median of rounds", "", "rounds"), rows))
    power = power_line(result)
    return [*parts, f"<p>{escape(power)}</p>"] if power else parts


def _drawn(title: str, svg: str) -> list[str]:
    if not svg:
        return []
    return [*([f"<h3>{escape(title)}</h3>"] if title else []), svg]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kinds = ["text" if len(head) == 2 else ""] * len(head)
    lines = ["<table>", "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    for row in rows:
        cells = "".join(
            f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(kinds, row, strict=True)
        )
        lines.append(f'<tr class="{"whole" if row[0] == TOTAL else ""}">{cells}</tr>')
    return "\n".join([*lines, "</table>"])

"""The metrics of a record as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from faceaffect.bench.metrics import metrics_of
from faceaffect.bench.record import Record
from faceaffect.bench.result_table import (
    DISTRIBUTION_COLUMNS,
    METRIC_COLUMNS,
    TOTAL_NOTE,
    describe,
    headline,
    metric_rows,
    stage_rows,
    stage_title,
    titles,
)
from faceaffect.system.durable_file import write_file

_CSV_COLUMNS: Final = (
    "configuration",
    "group",
    "metric",
    "clock",
    "unit",
    "median",
    "min",
    "max",
    "rounds",
)


def write_csv(record: Record, path: Path) -> None:
    """Replace `path` atomically with one row per configuration and metric, over rounds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for result in record.results:
        for metric in metrics_of(result):
            values = [f"{value:.6g}" for value in (metric.median, min(metric.rounds))]
            row = (metric.group, metric.name, metric.clock, metric.unit, *values)
            counts = (f"{max(metric.rounds):.6g}", len(metric.rounds))
            writer.writerow((result.configuration.key, *row, *counts))
    write_file(path, text.getvalue().encode("utf-8"))


def write_markdown(record: Record, path: Path) -> None:
    """Replace `path` atomically with the tables of a record in GitHub's Markdown."""
    lines = ["# faceaffect bench", "", f"Measured {record.created}.", ""]
    for title, result in zip(titles(record.results), record.results, strict=True):
        lines += [
            f"## {title}",
            "",
            headline(result, str(record.settings.get("slo") or "")),
            "",
            describe(result),
            "",
        ]
        for clock in result.rounds[0].stages.clocks:
            rows = stage_rows(result, clock)
            lines += [stage_title(result, clock), ""]
            lines += [*_table(("stage", *DISTRIBUTION_COLUMNS), rows), ""]
        lines += [*_table(METRIC_COLUMNS, metric_rows(result)), ""]
    lines += [TOTAL_NOTE, "", "## Machine and versions", ""]
    lines += [*_table(("fact", "value"), list(record.machine.items())), ""]
    lines += [f"Note: {note}" for note in record.notes]
    write_file(path, ("\n".join(lines).rstrip() + "\n").encode("utf-8"))


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(header), line(("---",) * len(header)), *map(line, rows)]

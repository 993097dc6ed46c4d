"""Records as CSV, Markdown, trace and against their schema, read by other programs' rules."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks.synthetic_records import synthetic_record
from faceaffect.bench.configuration import BenchError
from faceaffect.bench.metrics import metrics_of
from faceaffect.bench.record import Record
from faceaffect.bench.record_schema import record_schema
from faceaffect.bench.result_table import headline
from faceaffect.bench.stage_timing import Span
from faceaffect.bench.tables import write_csv, write_markdown
from faceaffect.bench.trace import write_trace

REQUIRES = ("jsonschema",)


def test_csv_has_every_metric_of_every_configuration(tmp_path: Path) -> None:
    record = synthetic_record()
    write_csv(record, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    metrics = metrics_of(record.results[0])
    assert [row["metric"] for row in rows] == [metric.name for metric in metrics]
    for row, metric in zip(rows, metrics, strict=True):
        assert float(row["median"]) == pytest.approx(metric.median, rel=1e-5)
        assert float(row["min"]) <= float(row["median"]) <= float(row["max"])
        assert row["rounds"] == "5"


def test_markdown_tables_have_as_many_cells_as_columns(tmp_path: Path) -> None:
    record = synthetic_record()
    record.machine["note"] = "a | b"
    write_markdown(record, tmp_path / "a.md")
    text = (tmp_path / "a.md").read_text()
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4  # two clocks, metrics, machine
    for table in tables:
        widths = {line.replace("\\|", "").count("|") for line in table}
        assert len(widths) == 1
    assert headline(record.results[0]) in text
    assert "a <note>" in text


def test_trace_has_the_spans_of_every_frame(tmp_path: Path) -> None:
    record = synthetic_record()
    with pytest.raises(BenchError, match="measure again with --save-trace"):
        write_trace(record, tmp_path / "t.json")
    record.results[0].rounds[0].stages.spans = [
        Span("track", 0, 0, 0.0, 40.0),
        Span("network", 0, 0, 40.0, 300.0),
        Span("track", 1, 0, 5.0, 41.0),
    ]
    record.save(tmp_path / "a.json")
    write_trace(Record.load_file(tmp_path / "a.json"), tmp_path / "t.json")
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    complete = [
        (one["name"], one["tid"], one["ts"], one["dur"], one["args"]["frame"])
        for one in events
        if one["ph"] == "X"
    ]
    assert complete == [
        ("track", 0, 0.0, 40.0, 0),
        ("network", 0, 40.0, 300.0, 0),
        ("track", 1, 5.0, 41.0, 0),
    ]
    assert {one["tid"] for one in events if one["name"] == "thread_name"} == {0, 1}


def test_schema_admits_records_and_rejects_others(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator, ValidationError

    schema = record_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    record = synthetic_record()
    record.results[0].rounds[0].stages.spans = [Span("track", 0, 0, 0.0, 40.0)]
    record.results[0].rounds[0].bounded_fps = 120.0
    record.save(tmp_path / "a.json")
    raw = json.loads((tmp_path / "a.json").read_text())
    validator.validate(raw)
    for change in ({"version": 2}, {"results": [{}]}, {"notes": [1]}, {"surprise": 1}):
        with pytest.raises(ValidationError):
            validator.validate({**raw, **change})


def test_headline_names_percentiles_with_intervals_and_the_bound() -> None:
    record = synthetic_record(level=2.0)
    result = record.results[0]
    for one in result.rounds:
        one.bounded_fps = 240.0
    text = headline(result, "p99=10ms")
    total = result.distribution("wall", "total")
    low, high = result.intervals("wall", "total")[50]
    assert f"median {total.p50:.3g} ms (95 % interval {low:.3g} to {high:.3g})" in text
    assert low <= total.p50 <= high
    assert text.endswith("camera of up to 240 fps with p99 at most 10 ms")

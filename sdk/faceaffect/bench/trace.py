"""Trace of a record in the Trace Event Format of Chrome, which Perfetto shows as a timeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.record import Record, Result
from faceaffect.system.durable_file import write_file


def write_trace(record: Record, path: Path) -> None:
    """Replace `path` atomically with the trace of a record, as JSON.

    Every configuration is a process, every stream a thread, every stage of a frame a complete
    event ("ph": "X") with its frame number. Open it at ui.perfetto.dev or chrome://tracing.

    Raises:
        BenchError: The record was measured without a trace.
    """
    events = [
        event
        for process, result in enumerate(record.results, 1)
        for event in _events(process, result)
    ]
    if not any(event["ph"] == "X" for event in events):
        raise BenchError("the record has no trace: measure again with --save-trace")
    content = {"traceEvents": events, "displayTimeUnit": "ms"}
    write_file(path, (json.dumps(content) + "\n").encode("utf-8"))


def _events(process: int, result: Result) -> list[dict[str, Any]]:
    spans = [span for one in result.rounds for span in one.stages.spans]
    names: list[dict[str, Any]] = [
        {
            "ph": "M",
            "pid": process,
            "name": "process_name",
            "args": {"name": result.configuration.key},
        }
    ]
    names += [
        {
            "ph": "M",
            "pid": process,
            "tid": stream,
            "name": "thread_name",
            "args": {"name": f"stream {stream}"},
        }
        for stream in sorted({span.stream for span in spans})
    ]
    return names + [
        {
            "ph": "X",
            "pid": process,
            "tid": span.stream,
            "name": span.stage,
            "ts": span.begin_us,
            "dur": span.duration_us,
            "args": {"frame": span.frame},
        }
        for span in spans
    ]

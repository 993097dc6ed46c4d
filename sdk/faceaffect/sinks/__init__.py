"""Sinks of rows (CSV, JSON Lines, Parquet) and of overlay images and videos."""

from faceaffect.sinks.columns import COLUMN_NAMES, COLUMNS
from faceaffect.sinks.open_overlay import open_overlay
from faceaffect.sinks.open_sink import check_output, open_sink
from faceaffect.sinks.sink import OverwritePolicy, ResumePoint, Sink, SinkError, SinkOptions
from faceaffect.sinks.threaded_sink import ThreadedSink

__all__ = [
    "COLUMNS",
    "COLUMN_NAMES",
    "OverwritePolicy",
    "ResumePoint",
    "Sink",
    "SinkError",
    "SinkOptions",
    "ThreadedSink",
    "check_output",
    "open_overlay",
    "open_sink",
]

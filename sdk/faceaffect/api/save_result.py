"""Writes a result to a file of the format that its suffix names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from faceaffect.batch.row_facts import describe_rows
from faceaffect.sinks.columns import source_cell
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.side_car import SourceFacts
from faceaffect.sinks.sink import OverwritePolicy, SinkError, SinkOptions

if TYPE_CHECKING:
    from pathlib import Path

    from faceaffect.api.result import Result

_ROWS: Final = (".csv", ".jsonl", ".parquet")
_PAGES: Final = (".html", ".htm")


def save_result(result: Result, path: Path, *, overwrite: bool) -> Path:
    """Write `result` to `path`; see `Result.save`."""
    suffix = path.suffix.lower()
    if suffix not in (*_ROWS, *_PAGES, ".json"):
        raise SinkError(
            f"{path}: expected a name that ends in .csv, .jsonl, .parquet, .json or .html, got"
            f" {suffix or 'no suffix'}; add one"
        )
    if path.exists() and not overwrite:
        raise SinkError(
            f"{path}: exists already; use save(path, overwrite=True) or choose another name"
        )
    if suffix in _PAGES:
        from faceaffect.api.report import Report

        return Report(result).save(path, overwrite=overwrite)
    if suffix == ".json":
        try:
            path.write_text(result.to_json() + "\n", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"{path}: cannot be written ({error.strerror}); check it") from None
        return path
    options = SinkOptions(
        OverwritePolicy.OVERWRITE if overwrite else OverwritePolicy.REFUSE, is_resumable=False
    )
    with open_sink(path, options) as sink:
        for view in result:
            sink.write(view.info, view.face_arrays, view.affect_arrays)
    if result.info:
        side_car = describe_rows(
            result.info, result.au_thresholds, result.model_sha256, result.options
        )
        side_car.sources = _source_facts(result)
        side_car.save(path)
    return path


def _source_facts(result: Result) -> list[SourceFacts]:
    counts = Counter(one.source for one in result.frames)
    return [
        SourceFacts(source_cell(name), count, is_sequence=count > 1, is_complete=True)
        for name, count in counts.items()
    ]

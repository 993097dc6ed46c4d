"""From the name of an output to the sink that writes it."""

from __future__ import annotations

import os
from pathlib import Path

from faceaffect.sinks.checkpoint_file import load_progress, progress_path
from faceaffect.sinks.parquet_file import ParquetFile, journal_path, require_pyarrow
from faceaffect.sinks.row_formats import CsvFormat, JsonlFormat
from faceaffect.sinks.sink import OverwritePolicy, Sink, SinkError, SinkOptions
from faceaffect.sinks.stdout_sink import StdoutRows
from faceaffect.sinks.text_sink import RowFile

_TEXT_FORMATS: dict[str, type[CsvFormat] | type[JsonlFormat]] = {
    ".csv": CsvFormat,
    ".jsonl": JsonlFormat,
}


def open_sink(path: str | Path | None, options: SinkOptions | None = None) -> Sink:
    """Open `.csv`, `.jsonl` or `.parquet`; `-` or None is CSV on standard output. Raises SinkError."""
    options = options or SinkOptions()
    check_output(path, options.when_existing)
    if is_stdout(path):
        return StdoutRows()
    output = Path(str(path))
    if output.suffix.lower() == ".parquet":
        return ParquetFile(output, options)
    return RowFile(output, _TEXT_FORMATS[output.suffix.lower()](), options)


def is_stdout(path: str | Path | None) -> bool:
    return path is None or str(path) == "-"


def check_output(path: str | Path | None, when_existing: OverwritePolicy) -> None:
    """Raise SinkError for an output that could not be written, and change nothing."""
    if is_stdout(path):
        if when_existing is OverwritePolicy.RESUME:
            raise SinkError(
                "standard output cannot be resumed; write to a file with --out rows.csv"
            )
        return
    output = Path(str(path))
    suffix = output.suffix.lower()
    if suffix not in (*_TEXT_FORMATS, ".parquet"):
        raise SinkError(
            f"{output}: --out must end in .csv, .jsonl or .parquet (or be - for CSV on standard output)"
        )
    if suffix == ".parquet":
        require_pyarrow(output)
    folder = output.absolute().parent
    if not folder.is_dir():
        raise SinkError(
            f"{output}: the folder {folder} does not exist; create it or choose another --out"
        )
    if output.is_dir() or not os.access(output if output.exists() else folder, os.W_OK):
        raise SinkError(
            f"{output}: this cannot be written (folder or no permission); choose another --out"
        )
    _check_existing(output, journal_path(output) if suffix == ".parquet" else output, when_existing)


def _check_existing(output: Path, rows: Path, when_existing: OverwritePolicy) -> None:
    exists = output.exists() or rows.exists()
    if exists and when_existing is OverwritePolicy.REFUSE:
        raise SinkError(
            f"{output}: exists already; use --resume to go on with it or --overwrite to replace it"
        )
    if (
        exists
        and when_existing is OverwritePolicy.RESUME
        and load_progress(progress_path(rows)) is None
    ):
        raise SinkError(
            f"{output}: nothing to resume, its run was complete (there is no {progress_path(rows).name}); "
            "use --overwrite to replace it"
        )

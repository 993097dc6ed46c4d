"""Opens the row sink that an output path asks for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from faceaffect.sinks.checkpoint_file import checkpoint_path, load_checkpoint
from faceaffect.sinks.columns import select_columns
from faceaffect.sinks.parquet_sink import ParquetSink, journal_path, require_pyarrow
from faceaffect.sinks.row_formats import CsvFormat, JsonlFormat
from faceaffect.sinks.sink import OverwritePolicy, Sink, SinkError, SinkOptions
from faceaffect.sinks.stdout_sink import StdoutSink
from faceaffect.sinks.text_sink import TextSink

_TEXT_FORMATS: Final[dict[str, type[CsvFormat] | type[JsonlFormat]]] = {
    ".csv": CsvFormat,
    ".jsonl": JsonlFormat,
}


def open_sink(path: str | Path | None, options: SinkOptions | None = None) -> Sink:
    """Open a row sink.

    Args:
        path: a `.csv`, `.jsonl` or `.parquet` file; `-` or None for CSV on standard output.
        options: what to do with an existing file, and the settings to store with the run.

    Raises:
        SinkError: the output cannot be written.
    """
    options = options or SinkOptions()
    columns = select_columns(options.columns)
    check_output(path, options.if_exists)
    if is_stdout(path):
        return StdoutSink(columns=columns, every_frame=options.every_frame)
    output = Path(str(path))
    if output.suffix.lower() == ".parquet":
        return ParquetSink(output, options)
    return TextSink(output, _TEXT_FORMATS[output.suffix.lower()](columns), options)


def is_stdout(path: str | Path | None) -> bool:
    """Return whether `path` stands for standard output."""
    return path is None or str(path) == "-"


def check_output(path: str | Path | None, if_exists: OverwritePolicy) -> None:
    """Check that an output can be written, without changing anything.

    Raises:
        SinkError: it cannot.
    """
    if is_stdout(path):
        if if_exists is OverwritePolicy.RESUME:
            raise SinkError(
                "standard output cannot be resumed; write to a file with --out rows.csv"
            )
        return
    output = Path(str(path))
    suffix = output.suffix.lower()
    if suffix not in (*_TEXT_FORMATS, ".parquet"):
        raise SinkError(
            f"{output}: --out must end in .csv, .jsonl or .parquet "
            "(or be - for CSV on standard output)"
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
            f"{output}: cannot be written (a folder, or no permission); choose another --out"
        )
    _check_existing(output, journal_path(output) if suffix == ".parquet" else output, if_exists)


def _check_existing(output: Path, rows: Path, if_exists: OverwritePolicy) -> None:
    if not (output.exists() or rows.exists()):
        return
    if if_exists is OverwritePolicy.REFUSE:
        raise SinkError(
            f"{output}: exists already; use --resume to continue it or --overwrite to replace it"
        )
    checkpoint = checkpoint_path(rows)
    if if_exists is OverwritePolicy.RESUME and load_checkpoint(checkpoint) is None:
        raise SinkError(
            f"{output}: nothing to resume, its run was complete (there is no {checkpoint.name}); "
            "use --overwrite to replace it"
        )

"""Opens the row sinks that outputs ask for: files, standard output and streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from faceaffect.sinks.checkpoint_file import checkpoint_path, load_checkpoint
from faceaffect.sinks.columns import select_columns
from faceaffect.sinks.parquet_sink import ParquetSink, journal_path, require_pyarrow
from faceaffect.sinks.row_formats import CsvFormat, JsonlFormat
from faceaffect.sinks.sink import OverwritePolicy, Sink, SinkError, SinkOptions
from faceaffect.sinks.stdout_sink import StdoutSink
from faceaffect.sinks.streams.address import EXAMPLES, is_stream
from faceaffect.sinks.streams.open_stream import check_stream, open_stream
from faceaffect.sinks.streams.stream_sink import StreamSink
from faceaffect.sinks.tee_sink import TeeSink
from faceaffect.sinks.text_sink import TextSink
from faceaffect.sinks.threaded_sink import ThreadedSink

_TEXT_FORMATS: Final[dict[str, type[CsvFormat] | type[JsonlFormat]]] = {
    ".csv": CsvFormat,
    ".jsonl": JsonlFormat,
}


_STDOUT_FORMATS: Final[dict[str, type[CsvFormat] | type[JsonlFormat]]] = {
    "-": CsvFormat,
    "csv:-": CsvFormat,
    "jsonl:-": JsonlFormat,
}


def open_sink(path: str | Path | None, options: SinkOptions | None = None) -> Sink:
    """Open a row sink.

    Args:
        path: a `.csv`, `.jsonl` or `.parquet` file; `-` or None for CSV on standard output,
            `jsonl:-` for JSON Lines; or the address of a stream, such as `zmq://*:5556`.
        options: what to do with an existing file, and the settings to store with the run.

    Raises:
        SinkError: the output cannot be written.
    """
    options = options or SinkOptions()
    columns = select_columns(options.columns)
    check_output(path, options.if_exists)
    if is_stdout(path):
        row_format = _STDOUT_FORMATS[str(path or "-")](columns)
        return StdoutSink(row_format=row_format, every_frame=options.every_frame)
    if is_stream(str(path)):
        return open_stream(str(path), options)
    output = Path(str(path))
    if output.suffix.lower() == ".parquet":
        return ParquetSink(output, options)
    return TextSink(output, _TEXT_FORMATS[output.suffix.lower()](columns), options)


def open_sinks(outputs: Sequence[str], options: SinkOptions) -> tuple[Sink, list[StreamSink]]:
    """Open a sink that writes to several outputs from background threads.

    Args:
        outputs: outputs that `check_outputs` accepts.
        options: options of each of them.

    Returns:
        The sink, and the streams among its outputs.

    Raises:
        SinkError: an output cannot be written; those before it are closed.
    """
    with ExitStack() as stack:
        files: list[Sink] = []
        others: list[Sink] = []
        for output in outputs:
            # What is no file has no rows that could be resumed.
            policy = options.if_exists if is_file(output) else OverwritePolicy.REFUSE
            sink = open_sink(output, replace(options, if_exists=policy))
            stack.callback(sink.close, is_complete=False)
            (files if is_file(output) else others).append(sink)
        stack.pop_all()
    streams = [sink for sink in others if isinstance(sink, StreamSink)]
    threaded = [
        *([ThreadedSink(files[0] if len(files) == 1 else TeeSink(files))] if files else []),
        *(ThreadedSink(sink) for sink in others if not isinstance(sink, StreamSink)),
    ]
    if len(threaded) == 1 and not streams:
        return threaded[0], []
    return TeeSink(threaded[: bool(files)], [*threaded[bool(files) :], *streams]), streams


def is_stdout(path: str | Path | None) -> bool:
    """Return whether `path` stands for standard output."""
    return path is None or str(path) in _STDOUT_FORMATS


def is_file(path: str | Path | None) -> bool:
    """Return whether `path` is neither standard output nor a stream."""
    return not (is_stdout(path) or is_stream(str(path)))


def check_outputs(outputs: Sequence[str], if_exists: OverwritePolicy) -> None:
    """Check that several outputs can be written, without changing anything.

    Raises:
        SinkError: one of them cannot, or two are the same.
    """
    names = [
        "-" if is_stdout(one) else one if is_stream(one) else str(Path(one).resolve())
        for one in outputs
    ]
    if twice := [one for one, name in zip(outputs, names, strict=True) if names.count(name) > 1]:
        raise SinkError(
            f"expected outputs that differ, got --out {' and --out '.join(twice)}; leave one out"
        )
    if if_exists is OverwritePolicy.RESUME and not any(map(is_file, outputs)):
        what = "standard output" if any(map(is_stdout, outputs)) else "a stream"
        raise SinkError(f"{what} cannot be resumed; write to a file with --out rows.csv")
    for output in outputs:
        if is_file(output) or if_exists is not OverwritePolicy.RESUME:
            check_output(output, if_exists)


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
    if is_stream(str(path)):
        check_stream(str(path))
        return
    output = Path(str(path))
    suffix = output.suffix.lower()
    if suffix not in (*_TEXT_FORMATS, ".parquet"):
        raise SinkError(
            f"{output}: --out must end in .csv, .jsonl or .parquet, be - or jsonl:- for standard"
            f" output, or an address such as {', '.join(EXAMPLES.values())}"
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

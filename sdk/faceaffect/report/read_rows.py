"""Reads files of rows in chunks of a few thousand rows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from faceaffect.errors import FaceAffectError
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks.columns import AU_ON_NAMES, COLUMN_NAMES, MAX_ROW_BYTES, NUMBERS
from faceaffect.sinks.parquet_sink import require_pyarrow

CHUNK_ROWS: Final = 4096
NUMBER_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in NUMBERS)
COLUMN_INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(NUMBER_NAMES)}
"""Index of each column of `RowChunk.numbers`."""
AU_COLUMNS: Final = slice(COLUMN_INDEX[AU_NAMES[0]], COLUMN_INDEX[AU_NAMES[-1]] + 1)
EXPRESSION_COLUMNS: Final = slice(
    COLUMN_INDEX[EXPRESSION_NAMES[0]], COLUMN_INDEX[EXPRESSION_NAMES[-1]] + 1
)


class ReportError(FaceAffectError, ValueError):
    """Rows that cannot be read, or a report that cannot be made.

    Examples:
        >>> import faceaffect as fa
        >>> issubclass(fa.ReportError, fa.FaceAffectError)
        True
    """


@dataclass(frozen=True, slots=True)
class RowChunk:
    """N rows in file order; unknown numbers are NaN."""

    source: list[str]
    frame: NDArray[np.int64]  # [N]
    time_s: NDArray[np.float64]  # [N]
    track_id: NDArray[np.int64]  # [N]
    numbers: NDArray[np.float64]  # [N, 30], order of NUMBER_NAMES
    au_active: NDArray[np.bool_]  # [N, 12]
    expression: NDArray[np.int64]  # [N], index into EXPRESSION_NAMES; -1: not predicted

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.source)


def read_rows(path: Path, notes: list[str]) -> Iterator[RowChunk]:
    """Read the rows of a .csv, .jsonl or .parquet file written by `faceaffect analyze`.

    An incomplete last row (of a run that is still writing) is skipped, and so are rows of frames
    without a face.

    Args:
        path: File of rows.
        notes: Receives a line if a row was skipped.

    Raises:
        ReportError: The file, or a line that the message names, is not in this format.
    """
    readers = {".csv": _csv_cells, ".jsonl": _json_cells, ".parquet": _parquet_cells}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ReportError(
            f"{path}: expected rows written by `faceaffect analyze` (.csv, .jsonl or .parquet)"
        )
    try:
        cells = read(path, notes)
        while lines := list(islice(cells, CHUNK_ROWS)):
            faces = [line for line in lines if line[1][_TRACK_CELL] not in ("", None)]
            if faces:  # the others are frames without a face
                yield _chunk(path, faces)
    except UnicodeDecodeError as error:
        raise ReportError(
            f"{path}: expected rows in UTF-8, got other bytes ({error.reason})"
        ) from None
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read: {error.strerror or error}; check the path"
        ) from None


_Line = tuple[int, tuple[Any, ...]]
"""Line number, and cells in the order of COLUMN_NAMES; an unknown number is None or empty."""


def _lines(path: Path, stream: TextIO) -> Iterator[str]:
    """Yield the lines of a file without reading an endless one."""
    while line := stream.readline(MAX_ROW_BYTES):
        if len(line) == MAX_ROW_BYTES and not line.endswith("\n"):
            raise ReportError(
                f"{path}: expected lines of less than {MAX_ROW_BYTES} characters, got a longer one;"
                " pass the file as it was written"
            )
        yield line


def _csv_cells(path: Path, notes: list[str]) -> Iterator[_Line]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(_lines(path, stream))
        try:
            header = next(reader, [])
            _check_columns(path, header)
            select = itemgetter(*(header.index(name) for name in COLUMN_NAMES))
            for cells in reader:
                if len(cells) != len(header):
                    if next(reader, None) is None:
                        notes.append(_incomplete_row_note(path))
                        return
                    raise ReportError(
                        f"{path}: line {reader.line_num}: "
                        f"expected {len(header)} cells, got {len(cells)}"
                    )
                yield reader.line_num, select(cells)
        except csv.Error as error:
            raise ReportError(f"{path}: line {reader.line_num}: not valid CSV ({error})") from None


def _json_cells(path: Path, notes: list[str]) -> Iterator[_Line]:
    select = itemgetter(*COLUMN_NAMES)
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(_lines(path, stream), 1):
            try:
                if not isinstance(row := json.loads(line), dict):
                    raise TypeError(f"got {line[:20].strip()!r}")
                _check_columns(path, list(row))
            except (ValueError, TypeError, RecursionError) as error:
                if isinstance(error, ReportError):
                    raise
                if not line.endswith("\n"):
                    notes.append(_incomplete_row_note(path))
                    return
                raise ReportError(
                    f"{path}: line {number}: expected a JSON object ({error})"
                ) from None
            yield number, select(row)


def _parquet_cells(path: Path, notes: list[str]) -> Iterator[_Line]:
    require_pyarrow(path)
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=list(COLUMN_NAMES)):
                columns = [batch.column(name).to_pylist() for name in COLUMN_NAMES]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, cells
    except pyarrow.ArrowException as error:
        raise ReportError(f"{path}: expected a Parquet file, cannot read it ({error})") from None


def _check_columns(path: Path, header: list[str]) -> None:
    if missing := [name for name in COLUMN_NAMES if name not in header]:
        raise ReportError(
            f"{path}: expected the columns written by `faceaffect analyze`, "
            f"{', '.join(missing[:5])}{' and more' if len(missing) > 5 else ''} are missing; "
            "pass the file as it was written"
        )


def _incomplete_row_note(path: Path) -> str:
    return f"{path}: an incomplete last row was skipped; is its run still in progress?"


_TRACK_CELL: Final = COLUMN_NAMES.index("track_id")
_EXPRESSION_INDEX: Final = {name: k for k, name in enumerate(EXPRESSION_NAMES)} | {"": -1, None: -1}
_AU_ON: Final = {"1": True, "0": False, "": False, 1: True, 0: False, None: False}


def _getter(*names: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return a function that takes these columns from the cells of a row."""
    return itemgetter(*(COLUMN_NAMES.index(name) for name in names))


_text_cells: Final = _getter("source", "expression")
_key_cells: Final = _getter("frame", "time_s", "track_id")
_number_cells: Final = _getter(*NUMBER_NAMES)
_au_on_cells: Final = _getter(*AU_ON_NAMES)


def _numbers(cells: tuple[Any, ...]) -> list[float]:
    """Convert cells; empty ones become NaN."""
    if "" in cells or None in cells:
        return [math.nan if cell in ("", None) else float(cell) for cell in cells]
    return list(map(float, cells))


def _chunk(path: Path, lines: list[_Line]) -> RowChunk:
    sources: list[str] = []
    key_rows: list[list[float]] = []
    number_rows: list[list[float]] = []
    active_rows: list[list[bool]] = []
    expressions: list[int] = []
    for line_number, cells in lines:
        source, expression = _text_cells(cells)
        try:
            key_rows.append(list(map(float, _key_cells(cells))))
            number_rows.append(_numbers(_number_cells(cells)))
            expressions.append(_EXPRESSION_INDEX[expression])
            active_rows.append(list(map(_AU_ON.__getitem__, _au_on_cells(cells))))
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(
                f"{path}: line {line_number}: not a row of `faceaffect analyze` ({error!r})"
            ) from None
        sources.append(str(source or ""))
    keys = np.array(key_rows)
    if not np.isfinite(keys).all():
        raise ReportError(
            f"{path}: near line {lines[0][0]}: frame, time_s and track_id must be finite numbers"
        )
    return RowChunk(
        source=sources,
        frame=keys[:, 0].astype(np.int64),
        time_s=keys[:, 1],
        track_id=keys[:, 2].astype(np.int64),
        numbers=np.array(number_rows),
        au_active=np.array(active_rows, np.bool_),
        expression=np.array(expressions, np.int64),
    )

"""Files of rows, read back a few thousand rows at a time."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.errors import FaceAffectError
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.sinks.columns import COLUMN_NAMES, NUMBERS
from faceaffect.sinks.parquet_sink import require_pyarrow

CHUNK_ROWS: Final = 4096
NUMBER_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in NUMBERS)
PLACE: Final[dict[str, int]] = {name: place for place, name in enumerate(NUMBER_NAMES)}
"""Where a column stands in `RowChunk.numbers`."""
AU_PLACES: Final = slice(PLACE[AU_NAMES[0]], PLACE[AU_NAMES[-1]] + 1)
EXPRESSION_PLACES: Final = slice(PLACE[EXPRESSION_NAMES[0]], PLACE[EXPRESSION_NAMES[-1]] + 1)


class ReportError(FaceAffectError, ValueError):
    """A report that cannot be made: what was wanted, what came, what to do."""


@dataclass(frozen=True, slots=True)
class RowChunk:
    """N rows in the order of their file; a number that is not known is NaN."""

    source: list[str]
    frame: NDArray[np.int64]  # [N]
    time_s: NDArray[np.float64]  # [N]
    track_id: NDArray[np.int64]  # [N]
    numbers: NDArray[np.float64]  # [N, 30], order of NUMBER_NAMES
    au_active: NDArray[np.bool_]  # [N, 12]
    expression: NDArray[np.int64]  # [N], place in EXPRESSION_NAMES, -1 where the model reads none

    def __len__(self) -> int:
        return len(self.source)


def read_chunks(path: Path, notes: list[str]) -> Iterator[RowChunk]:
    """The rows of a .csv, .jsonl or .parquet file that `analyze` wrote.

    Half a row at the very end (of a run that still writes) is left out with a note; anything
    else that is no row raises ReportError with its line.
    """
    readers = {".csv": _csv_cells, ".jsonl": _json_cells, ".parquet": _parquet_cells}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ReportError(
            f"{path}: rows of `faceaffect analyze` (.csv, .jsonl or .parquet) were wanted"
        )
    try:
        cells = read(path, notes)
        while lines := list(islice(cells, CHUNK_ROWS)):
            yield _chunk(path, lines)
    except UnicodeDecodeError as error:
        raise ReportError(
            f"{path}: rows in UTF-8 were wanted, this is no such text ({error.reason})"
        ) from None
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read: {error.strerror or error}; check the path"
        ) from None


_Line = tuple[int, list[Any]]
"""The number of a line and its cells in the order of COLUMN_NAMES; an unknown number is None or
empty.
"""


def _csv_cells(path: Path, notes: list[str]) -> Iterator[_Line]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        try:
            header = next(reader, [])
            places = [header.index(name) for name in _present(path, header)]
            for cells in reader:
                if len(cells) != len(header):
                    if next(reader, None) is None:
                        notes.append(
                            f"{path}: half a row at its end was left out; is its run still going on?"
                        )
                        return
                    raise ReportError(
                        f"{path}: line {reader.line_num}: {len(header)} cells were wanted, got {len(cells)}"
                    )
                yield reader.line_num, [cells[place] for place in places]
        except csv.Error as error:
            raise ReportError(f"{path}: line {reader.line_num}: this is no CSV ({error})") from None


def _json_cells(path: Path, notes: list[str]) -> Iterator[_Line]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                if not isinstance(row := json.loads(line), dict):
                    raise TypeError(f"got {line[:20].strip()!r}")
                named = [row[name] for name in _present(path, list(row))]
            except (ValueError, TypeError) as error:
                if isinstance(error, ReportError):
                    raise
                if not line.endswith("\n"):
                    notes.append(
                        f"{path}: half a row at its end was left out; is its run still going on?"
                    )
                    return
                raise ReportError(
                    f"{path}: line {number}: a JSON object was wanted ({error})"
                ) from None
            yield number, named


def _parquet_cells(path: Path, notes: list[str]) -> Iterator[_Line]:
    require_pyarrow(path)
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = _present(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=list(names)):
                columns = [batch.column(name).to_pylist() for name in names]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, list(cells)
    except pyarrow.ArrowException as error:
        raise ReportError(
            f"{path}: a Parquet file was wanted, this is none that can be read ({error})"
        ) from None


def _present(path: Path, header: list[str]) -> tuple[str, ...]:
    if missing := [name for name in COLUMN_NAMES if name not in header]:
        raise ReportError(
            f"{path}: the columns of `faceaffect analyze` were wanted, {', '.join(missing[:5])}"
            f"{' and more' if len(missing) > 5 else ''} are missing; give the file as it was written"
        )
    return COLUMN_NAMES


_TEXTS: Final = [COLUMN_NAMES.index(name) for name in ("source", "active_aus", "expression")]
_KEYS: Final = [COLUMN_NAMES.index(name) for name in ("frame", "time_s", "track_id")]
_NUMBER_CELLS: Final = [COLUMN_NAMES.index(name) for name in NUMBER_NAMES]
_EXPRESSIONS: Final = {name: place for place, name in enumerate(EXPRESSION_NAMES)} | {"": -1}
_AUS: Final = {name: place for place, name in enumerate(AU_NAMES)}


def _chunk(path: Path, lines: list[_Line]) -> RowChunk:
    count = len(lines)
    key_rows, number_rows = list[list[float]](), list[list[float]]()
    au_active, expression = np.zeros((count, len(AU_NAMES)), np.bool_), np.empty(count, np.int64)
    sources: list[str] = []
    for row, (number, cells) in enumerate(lines):
        source, on, best = (str(cells[place] or "") for place in _TEXTS)
        try:
            key_rows.append([float(cells[place]) for place in _KEYS])
            number_rows.append(
                [
                    math.nan if (cell := cells[place]) in ("", None) else float(cell)
                    for place in _NUMBER_CELLS
                ]
            )
            expression[row] = _EXPRESSIONS[best]
            for name in on.split("+") if on else ():
                au_active[row, _AUS[name]] = True
        except (KeyError, TypeError, ValueError) as error:
            raise ReportError(
                f"{path}: line {number}: this is no row of `faceaffect analyze` ({error!r})"
            ) from None
        sources.append(source)
    keys, numbers = np.array(key_rows), np.array(number_rows)
    if not np.isfinite(keys).all():
        raise ReportError(
            f"{path}: near line {lines[0][0]}: frame, time_s and track_id must be finite numbers"
        )
    frame, track_id = keys[:, 0].astype(np.int64), keys[:, 2].astype(np.int64)
    return RowChunk(sources, frame, keys[:, 1], track_id, numbers, au_active, expression)

"""Text formats of rows: CSV and JSON Lines."""

from __future__ import annotations

import csv
import json
from typing import Any, Protocol

from faceaffect.sinks.columns import COLUMNS, Column, Value


class RowFormat(Protocol):
    """A format that writes each row as one piece of text.

    Attributes:
        columns: Columns of its rows.
    """

    columns: tuple[Column, ...]

    def header(self) -> str:
        """Return the text before the first row."""
        ...

    def line(self, row: tuple[Value, ...]) -> str:
        """Return a row, line feed included."""
        ...

    def parse(self, line: str) -> dict[str, Any] | None:
        """Return the cells of a line by name; None if it is no row."""
        ...


class CsvFormat:
    """RFC 4180 with line feeds; an unknown number is an empty cell."""

    def __init__(self, columns: tuple[Column, ...] = COLUMNS) -> None:
        """Write and expect `columns`."""
        self.columns = columns
        self._names = [column.name for column in columns]
        self._writer = csv.writer(_LineFeedEcho())

    def header(self) -> str:
        """Return the line of column names."""
        return ",".join(self._names) + "\n"

    def line(self, row: tuple[Value, ...]) -> str:
        """Return a row as a CSV line."""
        line: str = self._writer.writerow(row)
        return line

    def parse(self, line: str) -> dict[str, Any] | None:
        """Return the cells of a line by name; None if it is no row."""
        try:
            cells = next(csv.reader([line]), [])
        except csv.Error:
            return None
        if len(cells) != len(self._names):
            return None
        return dict(zip(self._names, cells, strict=True))


class JsonlFormat:
    """One object per line; an unknown number is null."""

    def __init__(self, columns: tuple[Column, ...] = COLUMNS) -> None:
        """Write `columns`."""
        self.columns = columns
        self._names = [column.name for column in columns]

    def header(self) -> str:
        """Return nothing: JSON Lines has no header."""
        return ""

    def line(self, row: tuple[Value, ...]) -> str:
        """Return a row as a JSON object."""
        named = dict(zip(self._names, row, strict=True))
        return json.dumps(named, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"

    def parse(self, line: str) -> dict[str, Any] | None:
        """Return the cells of a line by name; None if it is no row."""
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return row if isinstance(row, dict) else None


class _LineFeedEcho:
    """A file for `csv.writer`, whose `writerow` returns what `write` returns.

    csv.writer ends lines with CR LF here and LF is put in its place: before Python 3.13 it quotes
    a cell with a carriage return only if that is part of its line terminator.
    """

    def write(self, line: str) -> str:
        return line[:-2] + "\n"

"""Rows as lines of text: CSV and JSON Lines."""

from __future__ import annotations

import json
from typing import Protocol

from faceaffect.sinks.columns import COLUMN_NAMES, Value


class RowFormat(Protocol):
    def header(self) -> str: ...

    def line(self, row: tuple[Value, ...]) -> str: ...


class CsvFormat:
    """RFC 4180 with line feeds; an unknown number is an empty cell."""

    def header(self) -> str:
        return ",".join(COLUMN_NAMES) + "\n"

    def line(self, row: tuple[Value, ...]) -> str:
        return ",".join([_csv_cell(value) for value in row]) + "\n"


class JsonlFormat:
    """One object per line; an unknown number is null."""

    def header(self) -> str:
        return ""

    def line(self, row: tuple[Value, ...]) -> str:
        named = dict(zip(COLUMN_NAMES, row, strict=True))
        return json.dumps(named, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _csv_cell(value: Value) -> str:
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    if any(letter in value for letter in ',"\n\r'):
        return '"' + value.replace('"', '""') + '"'
    return value

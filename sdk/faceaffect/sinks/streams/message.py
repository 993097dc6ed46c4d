"""The message that every stream sends: one row, with the moment at which it was ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from faceaffect.sinks.columns import COLUMNS, Value

NUMBER_NAMES: Final[tuple[str, ...]] = tuple(
    column.name for column in COLUMNS if not column.is_text and column.name != "time_s"
)
"""Numbers of a message in their order, which are the channels of an LSL stream."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A row.

    Attributes:
        cells: Its cells by column name; an unknown number is None.
        json: The row as JSON, UTF-8, the same object as a line of a `.jsonl` file.
        ready_s: `time.monotonic()` when the row was ready.
        is_live: Whether its source is a camera or a stream.
    """

    cells: dict[str, Value]
    json: bytes
    ready_s: float
    is_live: bool

"""Columns of a row, and the conversion of a frame's results to rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.system.path_text import printable_text, redact_passwords
from faceaffect.types import Affect, Faces, Frame, FrameInfo

Value = str | int | float | None
"""A cell; None is an unknown number."""

TEXT: Final[int] = -2
INTEGER: Final[int] = -1


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a row.

    Attributes:
        name: name in the header.
        decimals: TEXT, INTEGER or the number of decimals that a number keeps.
    """

    name: str
    decimals: int

    @property
    def is_text(self) -> bool:
        """Whether its cells are text."""
        return self.decimals == TEXT

    @property
    def is_integer(self) -> bool:
        """Whether its cells are integers."""
        return self.decimals == INTEGER


def _numbers(decimals: int, *names: str) -> list[Column]:
    return [Column(name, decimals) for name in names]


COLUMNS: Final[tuple[Column, ...]] = (
    Column("source", TEXT),
    Column("frame", INTEGER),
    Column("time_s", 6),
    Column("track_id", INTEGER),
    *_numbers(2, "box_x1", "box_y1", "box_x2", "box_y2"),
    *_numbers(4, "face_score", "quality"),
    *_numbers(2, "yaw_deg", "pitch_deg", "roll_deg"),
    *_numbers(4, *AU_NAMES),
    Column("active_aus", TEXT),
    *_numbers(4, *EXPRESSION_NAMES),
    Column("expression", TEXT),
    *_numbers(4, "valence", "arousal"),
)
"""Columns in their order.

`source` is the file or camera of the frame, boxes are in pixels, AU and expression columns are
probabilities, `active_aus` joins the names of the active AUs as in `AU6+AU12` (empty if none is
active), `expression` is the most probable expression. What the model does not predict is None in
number columns and empty in text columns.
"""

MAX_ROW_BYTES: Final[int] = 1 << 20
"""Longest line of a file of rows that is read; a row has some hundred bytes and a name."""
COLUMN_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in COLUMNS)


NUMBERS: Final[list[Column]] = [column for column in COLUMNS[4:] if not column.is_text]
"""Number columns that are measured on a face, in their order."""
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_STEPS_PER_UNIT: Final = np.array([10.0**column.decimals for column in NUMBERS])
_AU_END: Final = COLUMN_NAMES.index(AU_NAMES[-1]) - 3  # as an index into NUMBERS
_VA_START: Final = _AU_END + len(EXPRESSION_NAMES)


def rows_for_frame(
    frame: Frame | FrameInfo, faces: Faces, affect: Affect
) -> Iterator[tuple[Value, ...]]:
    """Yield one row per face, rounded as `COLUMNS` says: every format stores the same numbers."""
    if not len(faces):
        return
    expressions = affect.top_expression()
    time_s = round(frame.time_s, 6)
    source = source_cell(frame.source)
    for i, numbers in enumerate(_rounded_numbers(faces, affect)):
        au_active = affect.au_active[i].tolist()
        active_aus = "+".join(
            [name for name, is_active in zip(AU_NAMES, au_active, strict=True) if is_active]
        )
        yield (
            *(source, frame.index, time_s, int(faces.track_id[i])),
            *(*numbers[:_AU_END], active_aus),
            *(*numbers[_AU_END:_VA_START], expressions[i]),
            *numbers[_VA_START:],
        )


@lru_cache(maxsize=64)
def source_cell(source: str) -> str:
    r"""Return the name of a source as it is written in rows.

    Control characters and bytes that are not UTF-8 are escaped (`\x1b`), passwords of addresses
    are `***`. A relative path that a spreadsheet would take for a formula (`=1+1.png`) begins with
    `./`, which is the same file.
    """
    cell = printable_text(redact_passwords(source))
    return f"./{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _rounded_numbers(faces: Faces, affect: Affect) -> list[list[float | None]]:
    """Return the cells of `NUMBERS` [N, 30]; what is not finite becomes None."""
    parts = [
        faces.box_xyxy,
        faces.face_score[:, None],
        faces.quality[:, None],
        faces.pose_deg,
        affect.au_probability,
        affect.expression_probability,
        affect.valence[:, None],
        affect.arousal[:, None],
    ]
    # Adding 0 turns -0.0 into 0.0.
    values = np.rint(np.concatenate(parts, axis=1) * _STEPS_PER_UNIT) / _STEPS_PER_UNIT + 0.0
    rows: list[list[float | None]] = values.tolist()
    if np.isfinite(values).all():
        return rows
    return [
        [value if value is not None and math.isfinite(value) else None for value in row]
        for row in rows
    ]

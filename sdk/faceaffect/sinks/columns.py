"""The columns of a row, in their one order, and how a frame becomes rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.system.path_text import to_utf8_text
from faceaffect.types import Affect, Faces, Frame

Value = str | int | float | None
"""A cell; None is a number that is not known."""

TEXT: Final[int] = -2
INTEGER: Final[int] = -1


@dataclass(frozen=True, slots=True)
class Column:
    """`decimals` is TEXT, WHOLE or how many decimals a number keeps."""

    name: str
    decimals: int

    @property
    def is_text(self) -> bool:
        return self.decimals == TEXT

    @property
    def is_integer(self) -> bool:
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
"""AU and expression columns are probabilities; `active_aus` is like `AU6+AU12`, empty when none is
on; `expression` is the most probable one; boxes are pixels, `source` is the file that the row
came from. What the model does not read is None in every number and empty in every text.
"""

COLUMN_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in COLUMNS)


NUMBERS: Final[list[Column]] = [column for column in COLUMNS[4:] if not column.is_text]
"""The columns that hold what was read off a face, in their order."""
_STEPS_PER_UNIT: Final = np.array([10.0**column.decimals for column in NUMBERS])
_AU_END: Final = COLUMN_NAMES.index(AU_NAMES[-1]) - 3  # as positions in NUMBERS
_MOOD_START: Final = _AU_END + len(EXPRESSION_NAMES)


def rows_of(frame: Frame, faces: Faces, affect: Affect) -> Iterator[tuple[Value, ...]]:
    """One row per face, rounded as `COLUMNS` says: every format stores the same numbers."""
    if not len(faces):
        return
    best = affect.top_expression()
    time_s, source = round(frame.time_s, 6), to_utf8_text(frame.source)
    for i, numbers in enumerate(_rounded_numbers(faces, affect)):
        on = "+".join(
            [
                name
                for name, is_on in zip(AU_NAMES, affect.au_active[i].tolist(), strict=True)
                if is_on
            ]
        )
        yield (
            *(source, frame.index, time_s, int(faces.track_id[i])),
            *(*numbers[:_AU_END], on),
            *(*numbers[_AU_END:_MOOD_START], best[i]),
            *numbers[_MOOD_START:],
        )


def _rounded_numbers(faces: Faces, affect: Affect) -> list[list[float | None]]:
    """The numbers [N, 30] as Python's; adding 0 turns -0.0 into 0.0, what is not finite becomes
    None.
    """
    parts = [
        faces.box_xyxy,
        faces.face_score[:, None],
        faces.quality[:, None],
        faces.pose_deg,
        affect.au_probability,
    ]
    parts += [affect.expression_probability, affect.valence[:, None], affect.arousal[:, None]]
    values = np.rint(np.concatenate(parts, axis=1) * _STEPS_PER_UNIT) / _STEPS_PER_UNIT + 0.0
    rows: list[list[float | None]] = values.tolist()
    if np.isfinite(values).all():
        return rows
    return [
        [value if value is not None and math.isfinite(value) else None for value in row]
        for row in rows
    ]

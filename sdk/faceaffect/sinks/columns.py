"""Columns of a row, and the conversion of a frame's results to rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from faceaffect.geometry import closed_eyes_probability, eye_openness
from faceaffect.labels import AU_NAMES, BLINK_NAME, EXPRESSION_NAMES, LANDMARK_COUNT
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


AU_ON_NAMES: Final[tuple[str, ...]] = tuple(f"{name}_on" for name in AU_NAMES)
"""Columns of the decisions, in the order of `labels.AU_NAMES`."""

COLUMNS: Final[tuple[Column, ...]] = (
    Column("source", TEXT),
    Column("frame", INTEGER),
    Column("time_s", 6),
    Column("track_id", INTEGER),
    *_numbers(2, "box_x1", "box_y1", "box_x2", "box_y2"),
    *_numbers(4, "face_score", "quality"),
    *_numbers(2, "yaw_deg", "pitch_deg", "roll_deg"),
    *_numbers(4, *AU_NAMES),
    *(Column(name, INTEGER) for name in AU_ON_NAMES),
    *_numbers(4, *EXPRESSION_NAMES),
    Column("expression", TEXT),
    *_numbers(4, "valence", "arousal"),
)
"""Columns in their order.

`source` is the file or camera of the frame, boxes are in pixels, AU and expression columns are
probabilities, `AU1_on` and so on are 1 where the AU is active and else 0, `expression` is the most
probable expression. What the model does not predict is None in number columns and empty in text
columns.
"""

MAX_ROW_BYTES: Final[int] = 1 << 20
"""Longest line of a file of rows that is read; a row has some hundred bytes and a name."""
COLUMN_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in COLUMNS)

LANDMARK_COLUMNS: Final[tuple[Column, ...]] = tuple(
    Column(f"{axis}_{point}", 2) for axis in "xy" for point in range(LANDMARK_COUNT)
)
"""Landmarks in pixels, named as in OpenFace: x_0 ... x_67, then y_0 ... y_67."""

EYE_COLUMNS: Final[tuple[Column, ...]] = (
    Column("eye_openness_right", 4),
    Column("eye_openness_left", 4),
    Column(BLINK_NAME, 4),
    Column(f"{BLINK_NAME}_on", INTEGER),
)
"""Openness of the person's right and left eye (`geometry.eye_openness`), probability that the eyes
are closed (`geometry.closed_eyes_probability`), and 1 where that is at least 0.5.
"""

INTENSITY_COLUMNS: Final[tuple[Column, ...]] = tuple(
    Column(f"{name}_intensity", 3) for name in AU_NAMES
)
"""Intensities of the action units, 0 to 5 (`Affect.au_intensity`)."""

COLUMN_GROUPS: Final[dict[str, tuple[Column, ...]]] = {
    "default": (),
    "landmarks": LANDMARK_COLUMNS,
    "eyes": EYE_COLUMNS,
    "intensity": INTENSITY_COLUMNS,
}
"""What each group adds to `COLUMNS`."""
ALL_GROUPS: Final = "all"
_NOT_PREDICTED: Final = ("gaze", "pose3d")
"""Groups that users of other tools look for."""


def select_columns(groups: Sequence[str]) -> tuple[Column, ...]:
    """Return `COLUMNS` and what the named groups add, in the order of `COLUMN_GROUPS`.

    Raises:
        ValueError: There is no such group.
    """
    if unknown := [name for name in groups if name not in (*COLUMN_GROUPS, ALL_GROUPS)]:
        hint = "; no model predicts it" if set(unknown) <= set(_NOT_PREDICTED) else ""
        raise ValueError(
            f"expected columns to be some of {', '.join(COLUMN_GROUPS)} or {ALL_GROUPS}, got"
            f" {', '.join(unknown)}{hint}"
        )
    chosen = [
        added for name, added in COLUMN_GROUPS.items() if name in groups or ALL_GROUPS in groups
    ]
    return (*COLUMNS, *(column for added in chosen for column in added))


NUMBERS: Final[list[Column]] = [
    column for column in COLUMNS[4:] if not (column.is_text or column.is_integer)
]
"""Number columns that are measured on a face, in their order."""
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_STEPS_PER_UNIT: Final = np.array([10.0**column.decimals for column in NUMBERS])
_AU_END: Final = COLUMN_NAMES.index(AU_NAMES[-1]) - 3  # as an index into NUMBERS
_VA_START: Final = _AU_END + len(EXPRESSION_NAMES)


def rows_for_frame(
    frame: Frame | FrameInfo,
    faces: Faces,
    affect: Affect,
    columns: tuple[Column, ...] = COLUMNS,
    *,
    every_frame: bool = False,
) -> Iterator[tuple[Value, ...]]:
    """Yield one row per face, rounded as `columns` says: every format stores the same numbers.

    Args:
        frame: The frame.
        faces: Its faces [N].
        affect: Their affect, row for row.
        columns: Of `select_columns`.
        every_frame: Whether a frame without a face has a row, of `source`, `frame` and `time_s`.
    """
    if not len(faces):
        if every_frame:
            known = (source_cell(frame.source), frame.index, round(frame.time_s, 6))
            yield (*known, *("" if column.is_text else None for column in columns[len(known) :]))
        return
    expressions = affect.top_expression()
    time_s = round(frame.time_s, 6)
    source = source_cell(frame.source)
    added = _added_cells(faces, affect, columns[len(COLUMNS) :])
    for i, numbers in enumerate(_rounded_numbers(faces, affect)):
        # Without probabilities the model predicts no AUs: it has not decided against them.
        has_aus = numbers[_AU_END - 1] is not None
        au_on = map(int, affect.au_active[i].tolist()) if has_aus else (None,) * len(AU_NAMES)
        yield (
            *(source, frame.index, time_s, int(faces.track_id[i])),
            *(*numbers[:_AU_END], *au_on),
            *(*numbers[_AU_END:_VA_START], expressions[i]),
            *numbers[_VA_START:],
            *added[i],
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


def _added_cells(
    faces: Faces, affect: Affect, columns: tuple[Column, ...]
) -> list[list[int | float | None]]:
    """Return the cells [N] of the columns that groups add; what is not finite becomes None."""
    parts = [np.zeros((len(faces), 0))]
    if LANDMARK_COLUMNS[0] in columns:
        points = faces.landmarks_xy.transpose(0, 2, 1).reshape(len(faces), -1)
        parts.append(points.astype(np.float64))
    if EYE_COLUMNS[0] in columns:
        closed = closed_eyes_probability(faces.landmarks_xy)
        is_closed = np.where(np.isfinite(closed), closed >= 0.5, np.nan)
        parts += [eye_openness(faces.landmarks_xy), closed[:, None], is_closed[:, None]]
    if INTENSITY_COLUMNS[0] in columns:
        parts.append(affect.au_intensity.astype(np.float64))
    rows = np.concatenate(parts, axis=1).tolist()
    return [[_added_cell(*one) for one in zip(row, columns, strict=True)] for row in rows]


def _added_cell(value: float, column: Column) -> int | float | None:
    if not math.isfinite(value):
        return None
    return int(value) if column.is_integer else round(value, column.decimals) + 0.0

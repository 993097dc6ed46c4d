"""The columns of a row, in their one order, and how a frame becomes rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.types import Affect, Faces, Frame

Value = str | int | float | None
"""A cell; None is a number that is not known."""

TEXT: Final[int] = -2
WHOLE: Final[int] = -1


@dataclass(frozen=True, slots=True)
class Column:
    """`decimals` is TEXT, WHOLE or how many decimals a number keeps."""

    name: str
    decimals: int

    @property
    def is_text(self) -> bool:
        return self.decimals == TEXT

    @property
    def is_whole(self) -> bool:
        return self.decimals == WHOLE


def _numbers(decimals: int, *names: str) -> list[Column]:
    return [Column(name, decimals) for name in names]


COLUMNS: Final[tuple[Column, ...]] = (
    Column("source", TEXT),
    Column("frame", WHOLE),
    Column("time_s", 6),
    Column("track_id", WHOLE),
    *_numbers(2, "box_x1", "box_y1", "box_x2", "box_y2"),
    *_numbers(4, "face_score", "quality"),
    *_numbers(2, "yaw_deg", "pitch_deg", "roll_deg"),
    *_numbers(4, *AU_NAMES),
    Column("aus_on", TEXT),
    *_numbers(4, *EXPRESSION_NAMES),
    Column("expression", TEXT),
    *_numbers(4, "valence", "arousal"),
)
"""AU and expression columns are probabilities; `aus_on` is like `AU6+AU12`, empty when none is on; `expression` is the
most probable one; boxes are pixels, `source` is the file that the row came from."""

COLUMN_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in COLUMNS)


def rows_of(frame: Frame, faces: Faces, affect: Affect) -> Iterator[tuple[Value, ...]]:
    """One row per face, rounded as `COLUMNS` says: every format stores the same numbers."""
    geometry = _rounded(2, faces.box_xyxy)
    trust = _rounded(4, faces.score[:, None], faces.quality[:, None])
    pose = _rounded(2, faces.pose_deg)
    aus = _rounded(4, affect.au_probability)
    expressions = _rounded(4, affect.expression_probability)
    mood = _rounded(4, affect.valence[:, None], affect.arousal[:, None])
    time_s = round(frame.time_s, 6)
    for i in range(len(faces)):
        on = "+".join(name for name, is_on in zip(AU_NAMES, affect.au_on[i], strict=True) if is_on)
        best = EXPRESSION_NAMES[int(np.argmax(affect.expression_probability[i]))]
        yield (
            *(frame.source, frame.index, time_s, int(faces.track_id[i])),
            *(*geometry[i], *trust[i], *pose[i]),
            *(*aus[i], on, *expressions[i], best, *mood[i]),
        )


def _rounded(decimals: int, *parts: NDArray[np.float32]) -> list[list[float | None]]:
    """Rows of Python numbers; adding 0 turns -0.0 into 0.0, what is not finite becomes None."""
    values = np.concatenate([np.asarray(part, np.float64) for part in parts], axis=1).round(decimals) + 0.0
    rows: list[list[float | None]] = values.tolist()
    if np.isfinite(values).all():
        return rows
    return [[value if value is not None and math.isfinite(value) else None for value in row] for row in rows]

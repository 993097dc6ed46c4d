"""Annotation files as Aff-Wild2 writes them, with stretches that nobody annotated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.synthesis.head_mesh import FloatArray

HEADERS: Final[dict[str, str]] = {
    "AU": ",".join(AU_NAMES),
    "EXPR": ",".join(name.capitalize() for name in EXPRESSION_NAMES),
    "VA": "valence,arousal",
}

INVALID_CLASS, INVALID_VA = -1, -5
INVALID_S: Final = (0.25, 1.5)
PARTIAL_SHARE: Final[float] = 0.3
"""Share of unannotated stretches that lack one column only (AU, VA)."""


@dataclass(frozen=True, slots=True)
class InvalidStretch:
    """Frames (0-based, end excluded) without annotation; `column` None means all columns."""

    start: int
    end: int
    column: int | None


def draw_invalid(
    rng: np.random.Generator, task: str, count: int, fps: float
) -> list[InvalidStretch]:
    """One or two stretches of a video of `count` frames; a first one lacks all columns."""
    stretches = []
    for k in range(1 + (rng.random() < 0.5)):
        length = min(count // 4, max(1, round(float(rng.uniform(*INVALID_S)) * fps)))
        start = int(rng.integers(0, count - length))
        column = None
        if k and task != "EXPR" and rng.random() < PARTIAL_SHARE:
            column = int(rng.integers(len(AU_NAMES) if task == "AU" else 2))
        stretches.append(InvalidStretch(start, start + length, column))
    return stretches


def task_rows(
    task: str,
    present: NDArray[np.bool_],
    expression: NDArray[np.int8],
    va: FloatArray,
    invalid: list[InvalidStretch],
) -> list[list[str]]:
    """Cells of each frame's line for a task, from presence [n, 12], class [n] (-1 for none) and
    valence, arousal [n, 2].
    """
    if task == "AU":
        rows = [[str(int(value)) for value in row] for row in present]
    elif task == "EXPR":
        rows = [[str(int(value))] for value in expression]
    else:
        rows = [[f"{value:.3f}" for value in row] for row in va]
    mark = str(INVALID_VA if task == "VA" else INVALID_CLASS)
    for stretch in invalid:
        for row in rows[stretch.start : stretch.end]:
            for column in range(len(row)):
                if stretch.column is None or column == stretch.column:
                    row[column] = mark
    return rows


def write_annotation(
    path: Path, task: str, rows: list[list[str]], row_difference: int, quirk: str
) -> None:
    """Write header and lines. A difference of -1 leaves out the last line, of 1 repeats it."""
    if row_difference < 0:
        rows = rows[:row_difference]
    elif row_difference > 0:
        rows = rows + rows[-1:] * row_difference
    end = {"trailing spaces": " ", "trailing commas": ","}.get(quirk, "")
    lines = [HEADERS[task], *(",".join(row) + end for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(lines) + ("" if quirk == "no newline at the end" else "\n"),
        encoding="ascii",
        newline="\n",
    )

"""Writes annotation files in the Aff-Wild2 format, with unlabeled spans."""

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

INVALID_CLASS = -1
INVALID_VA = -5
UNLABELED_S: Final = (0.25, 1.5)
PARTIAL_PROBABILITY: Final[float] = 0.3
"""Probability that an unlabeled span after the first affects one column only (AU, VA)."""


@dataclass(frozen=True, slots=True)
class UnlabeledSpan:
    """Frames (0-based, end exclusive) without labels; `column` None means all columns."""

    start: int
    end: int
    column: int | None


def sample_unlabeled_spans(
    rng: np.random.Generator, task: str, count: int, fps: float
) -> list[UnlabeledSpan]:
    """Samples one or two spans of a video of `count` frames; the first one affects all columns."""
    spans = []
    for k in range(1 + (rng.random() < 0.5)):
        length = min(count // 4, max(1, round(float(rng.uniform(*UNLABELED_S)) * fps)))
        start = int(rng.integers(0, count - length))
        column = None
        if k and task != "EXPR" and rng.random() < PARTIAL_PROBABILITY:
            column = int(rng.integers(len(AU_NAMES) if task == "AU" else 2))
        spans.append(UnlabeledSpan(start, start + length, column))
    return spans


def task_rows(
    task: str,
    present: NDArray[np.bool_],
    expression: NDArray[np.int8],
    va: FloatArray,
    unlabeled: list[UnlabeledSpan],
) -> list[list[str]]:
    """Returns the cells of each frame's row for a task.

    Args:
        task: "AU", "EXPR" or "VA".
        present: AU presence [n, 12].
        expression: Class index [n], -1 for none.
        va: Valence and arousal [n, 2].
        unlabeled: Spans to mark as invalid.
    """
    if task == "AU":
        rows = [[str(int(value)) for value in row] for row in present]
    elif task == "EXPR":
        rows = [[str(int(value))] for value in expression]
    else:
        rows = [[f"{value:.3f}" for value in row] for row in va]
    mark = str(INVALID_VA if task == "VA" else INVALID_CLASS)
    for span in unlabeled:
        for row in rows[span.start : span.end]:
            for column in range(len(row)):
                if span.column is None or column == span.column:
                    row[column] = mark
    return rows


def write_annotation(
    path: Path, task: str, rows: list[list[str]], row_difference: int, quirk: str
) -> None:
    """Writes header and rows; a row difference of -1 drops the last row, of 1 repeats it."""
    if row_difference < 0:
        rows = rows[:row_difference]
    elif row_difference > 0:
        rows = rows + rows[-1:] * row_difference
    line_end = {"trailing spaces": " ", "trailing commas": ","}.get(quirk, "")
    lines = [HEADERS[task], *(",".join(row) + line_end for row in rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(lines) + ("" if quirk == "no newline at the end" else "\n"),
        encoding="ascii",
        newline="\n",
    )

"""Writes submission files: per task and video as in ABAW2, or per task as from ABAW6 on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from training.datasets.affwild2_annotations import HEADERS
from training.datasets.frame_table import TASKS as DATA_TASKS
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import HOLD, PredictionTable, hold_last
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

SINGLE_FILE: Final = "predictions.txt"
_LOCATION: Final = "image_location"


def write_submission(
    folder: Path,
    labels: LabelTable,
    predictions: PredictionTable,
    missing: str,
    *,
    single_file: bool = False,
) -> int:
    """Writes `folder`/<task>/<video>.txt for all listed videos; returns the number of files.

    AU rows are twelve 0 or 1, expression rows a class from 0 to 6, valence and arousal two
    numbers with four decimals, clipped to [-1, 1]. `missing` is one of `MISSING_RULES`.
    `single_file` writes `folder`/<task>/predictions.txt for all videos of a task, as from ABAW6
    on: each row begins with <video>/<frame>.jpg, and the header of expressions has the class
    Other.
    """
    filled = hold_last(predictions, labels) if missing == HOLD else predictions
    count = 0
    for task, data_task in zip(TASKS, DATA_TASKS, strict=True):
        texts = _rows(task, filled)
        videos = [k for k, video in enumerate(labels.videos) if video in labels.listed[task]]
        if single_file and videos:
            header = ",".join([_LOCATION, *HEADERS[data_task][1 if data_task == "EXPR" else 0]])
            lines = [
                f"{labels.videos[k]}/{labels.frame[row]:05d}.jpg,{texts[row]}"
                for k in videos
                for row in range(labels.rows_of(k).start, labels.rows_of(k).stop)
            ]
            _write(folder / task / SINGLE_FILE, [header, *lines])
            count += 1
            continue
        for k in videos:
            rows = labels.rows_of(k)
            lines = texts[rows.start : rows.stop]
            _write(
                folder / task / f"{labels.videos[k]}.txt", [",".join(HEADERS[data_task][0]), *lines]
            )
            count += 1
    return count


def _rows(task: str, filled: PredictionTable) -> list[str]:
    """Text of each frame's row."""
    known = filled.known[:, None]
    if task == "AU_Set":
        au = np.where(known, filled.au_active.astype(np.int64), AU_UNLABELED)
        return [",".join(map(str, row)) for row in au.tolist()]
    if task == "EXPR_Set":
        return [str(k) for k in np.where(filled.known, filled.expression, EXPRESSION_UNLABELED)]
    clipped = np.round(np.clip(filled.va.astype(np.float64), -1, 1), 4) + 0.0  # never "-0.0000"
    va = np.where(known, clipped, VA_UNLABELED)
    return [",".join(f"{value:.4f}" for value in row) for row in va.tolist()]


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

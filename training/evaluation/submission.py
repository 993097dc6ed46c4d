"""Writes ABAW2 submission files: one text file per task and video, one row per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.datasets.affwild2_annotations import HEADERS
from training.datasets.frame_table import TASKS as DATA_TASKS
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import HOLD, PredictionTable, hold_last
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED


def write_submission(
    folder: Path, labels: LabelTable, predictions: PredictionTable, missing: str
) -> int:
    """Writes `folder`/<task>/<video>.txt for all listed videos; returns the number of files.

    AU rows are twelve 0 or 1, expression rows a class from 0 to 6, valence and arousal two
    numbers with four decimals, clipped to [-1, 1]. `missing` is one of `MISSING_RULES`.
    """
    filled = hold_last(predictions, labels) if missing == HOLD else predictions
    au = np.where(filled.known[:, None], filled.au_active.astype(np.int64), AU_UNLABELED)
    expression = np.where(filled.known, filled.expression, EXPRESSION_UNLABELED)
    clipped = np.round(np.clip(filled.va.astype(np.float64), -1, 1), 4) + 0.0  # never "-0.0000"
    va = np.where(filled.known[:, None], clipped, VA_UNLABELED)
    tables = {"AU_Set": (au, "%d"), "EXPR_Set": (expression[:, None], "%d"), "VA_Set": (va, "%.4f")}
    count = 0
    for task, data_task in zip(TASKS, DATA_TASKS, strict=True):
        values, number = tables[task]
        header = ",".join(HEADERS[data_task][0])
        for position, video in enumerate(labels.videos):
            if video not in labels.listed[task]:
                continue
            path = folder / task / f"{video}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = values[labels.rows_of(position)]
            np.savetxt(
                path, rows, fmt=number, delimiter=",", header=header, comments="", encoding="utf-8"
            )
            count += 1
    return count

"""Writes submission files: by task and video as in ABAW2, by task as from ABAW6 on, or one file of
all tasks as multi-task challenges want it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.affwild2_annotations import HEADERS, MTL_HEADER
from training.datasets.frame_table import TASKS as DATA_TASKS
from training.evaluation.label_table import TASKS, LabelTable
from training.evaluation.prediction_table import HOLD, PredictionTable, hold_last
from training.metrics import ABAW2, ABAW3, AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

SINGLE_FILE: Final = "predictions.txt"
_LOCATION: Final = "image_location"


def write_submission(
    folder: Path,
    labels: LabelTable,
    predictions: PredictionTable,
    missing: str,
    *,
    single_file: bool = False,
    rules: str = ABAW2,
) -> int:
    """Writes `folder`/<task>/<video>.txt for all listed videos; returns the number of files.

    AU rows are twelve 0 or 1, expression rows a class from 0 to 6, valence and arousal two
    numbers with four decimals, clipped to [-1, 1]. `missing` is one of `MISSING_RULES`.
    `single_file` writes `folder`/<task>/predictions.txt for all videos of a task, as from ABAW6
    on: each row begins with <video>/<frame>.jpg. There, and with the `rules` of ABAW3, the header
    of expressions has the class Other, which is 7.
    """
    filled = hold_last(predictions, labels) if missing == HOLD else predictions
    count = 0
    for task, data_task in zip(TASKS, DATA_TASKS, strict=True):
        texts = _rows(task, filled)
        has_other = data_task == "EXPR" and (single_file or rules == ABAW3)
        own_header = HEADERS[data_task][1 if has_other else 0]
        videos = [k for k, video in enumerate(labels.videos) if video in labels.listed[task]]
        if single_file and videos:
            header = ",".join([_LOCATION, *own_header])
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
            _write(folder / task / f"{labels.videos[k]}.txt", [",".join(own_header), *lines])
            count += 1
    return count


def write_multi_task(
    path: Path,
    labels: LabelTable,
    predictions: PredictionTable,
    missing: str,
    images: Sequence[tuple[str, int]] = (),
) -> int:
    """Writes the file of multi-task challenges; returns its number of rows.

    A row is <video>/<frame>.jpg, valence, arousal, a class from 0 to 7 and twelve AUs. Rows are
    those of `images` (video and frame number), or else all frames with a crop.

    Raises:
        ValueError: an image is not among the frames of `labels`.
    """
    filled = hold_last(predictions, labels) if missing == HOLD else predictions
    if images:
        rows = _rows_of_images(labels, images)
    else:
        rows = np.flatnonzero([crop is not None for crop in labels.crop])
    au, expression, va = (_rows(task, filled) for task in TASKS)
    lines = [
        f"{labels.videos[labels.video[row]]}/{labels.frame[row]:05d}.jpg,"
        f"{va[row]},{expression[row]},{au[row]}"
        for row in rows
    ]
    _write(path, [",".join(MTL_HEADER), *lines])
    return len(lines)


def _rows_of_images(labels: LabelTable, images: Sequence[tuple[str, int]]) -> NDArray[np.int64]:
    index_of = {name: k for k, name in enumerate(labels.videos)}
    video = np.array([index_of.get(name, -1) for name, _ in images], np.int64)
    rows = labels.row_index(video, np.array([frame for _, frame in images], np.int64))
    lost = np.flatnonzero((video < 0) | (rows < 0))
    if len(lost):
        name, frame = images[lost[0]]
        raise ValueError(
            f"the test list has {len(lost)} images without a frame in this copy, such as "
            f"{name}/{frame:05d}.jpg; complete cropped_aligned"
        )
    return rows


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

"""ABAW2 scores of a method's predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training import metrics
from training.datasets.frame_table import TASKS, FrameTable, Task
from training.evaluation.dataset_metrics import plain
from training.methods.predict import MethodPredictions

THRESHOLD = 0.5


def method_scores(predictions: MethodPredictions, table: FrameTable) -> dict[str, Any]:
    """ABAW2's scores of the tasks that are both predicted and labeled, over all labeled frames, as
    plain values.

    `AU`: score, f1_mean, accuracy, exact_match and f1 by AU at 0.5; `EXPR`: score, macro_f1,
    accuracy and f1 by class; `VA`: score, ccc, rmse of valence and arousal; each with its
    frames. `total` is the mean of the available scores (None without any).
    """
    scores: dict[str, Any] = {}
    if predictions.au is not None and table.au_mask.any():
        label = np.where(table.au_mask, table.au, metrics.AU_UNLABELED).astype(np.int64)
        # If no frame has all twelve (a source that labels some of them), each AU counts wherever it
        # is labeled.
        by_column = not metrics.labeled_au(label).any()
        rows = table.au_mask.any(axis=1) if by_column else metrics.labeled_au(label)
        sums = metrics.au_sums(
            predictions.au[rows] > THRESHOLD,
            label[rows],
            np.zeros(rows.sum(), np.int64),
            1,
            by_column=by_column,
        )
        scores["AU"] = _named(metrics.au_metrics(sums[0]), AU_NAMES, ("f1",), int(rows.sum()))
    if predictions.expression is not None and table.expression_mask.any():
        rows = table.expression_mask
        values = metrics.expression_score(
            predictions.expression[rows].argmax(axis=1), table.expression[rows].astype(np.int64)
        )
        scores["EXPR"] = _named(values, EXPRESSION_NAMES, ("f1",), int(rows.sum()))
    if predictions.va is not None and table.va_mask.any():
        rows = table.va_mask
        values = metrics.va_score(predictions.va[rows], table.va[rows])
        scores["VA"] = _named(
            values,
            ("valence", "arousal"),
            ("ccc", "pearson", "rmse", "sign_agreement"),
            int(rows.sum()),
        )
    totals = [task["score"] for task in scores.values() if task["score"] is not None]
    return {**scores, "total": float(np.mean(totals)) if totals else None}


def _named(
    values: metrics.Metrics, names: tuple[str, ...], listed: tuple[str, ...], frames: int
) -> dict[str, Any]:
    """Metrics as plain values, those of several AUs, classes or dimensions by name."""
    named = {
        key: dict(zip(names, value, strict=True)) if key in listed else value
        for key, value in values.items()
    }
    scores: dict[str, Any] = plain({**named, "frames": frames})
    return scores


def scores_text(scores: dict[str, Any]) -> str:
    """The scores in one line."""
    parts = []
    task: Task
    for task in TASKS:
        if task in scores:
            parts.append(
                f"{task} {_number(scores[task]['score'])} ({scores[task]['frames']} frames)"
            )
    return (
        ", ".join([*parts, f"mean {_number(scores['total'])}"])
        if parts
        else "no labeled frame to evaluate on"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

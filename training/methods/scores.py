"""ABAW scores of a method's predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceaffect.labels import AU_NAMES
from training import metrics
from training.datasets.frame_table import TASKS, FrameTable, Task
from training.evaluation.dataset_metrics import plain
from training.methods.predict import MethodPredictions

THRESHOLD = 0.5


def method_scores(predictions: MethodPredictions, table: FrameTable) -> dict[str, Any]:
    """Scores of the tasks that are both predicted and labeled, over all labeled frames, as plain
    values: those of ABAW3 for eight expressions, else those of ABAW2.

    `AU`: score, f1_mean, accuracy, exact_match and f1 by AU at 0.5; `EXPR`: score, macro_f1,
    accuracy and f1 by class; `VA`: score, ccc, rmse of valence and arousal; each with its
    frames. `total` is the mean of the available scores (None without any).
    """
    scores: dict[str, Any] = {}
    rules = rules_of(predictions)
    if predictions.au is not None and table.au_mask.any():
        label = np.where(table.au_mask, table.au, metrics.AU_UNLABELED).astype(np.int64)
        # If no frame has all twelve (a source that labels some of them), each AU counts wherever it
        # is labeled.
        by_column = not metrics.labeled_au(label).any()
        counted = table.au_mask.any(axis=1) if by_column else metrics.labeled_au(label)
        sums = metrics.au_sums(
            predictions.au[counted] > THRESHOLD,
            label[counted],
            np.zeros(counted.sum(), np.int64),
            1,
            by_column=by_column,
        )
        values = metrics.au_metrics(sums[0], rules)
        scores["AU"] = _named(values, AU_NAMES, ("f1",), int(counted.sum()))
    if predictions.expression is not None and table.expression_mask.any():
        counted = table.expression_mask
        values = metrics.expression_score(
            predictions.expression[counted].argmax(axis=1),
            table.expression[counted].astype(np.int64),
            rules,
        )
        names = metrics.CHALLENGE_EXPRESSIONS[: metrics.class_count(rules)]
        scores["EXPR"] = _named(values, names, ("f1",), int(counted.sum()))
    if predictions.va is not None and table.va_mask.any():
        counted = table.va_mask
        values = metrics.va_score(predictions.va[counted], table.va[counted])
        scores["VA"] = _named(
            values,
            ("valence", "arousal"),
            ("ccc", "pearson", "rmse", "sign_agreement"),
            int(counted.sum()),
        )
    totals = [task["score"] for task in scores.values() if task["score"] is not None]
    return {**scores, "total": float(np.mean(totals)) if totals else None}


def rules_of(predictions: MethodPredictions) -> str:
    """Rules of the scores by the number of expressions."""
    expression = predictions.expression
    has_other = expression is not None and expression.shape[1] == metrics.class_count(metrics.ABAW3)
    return metrics.ABAW3 if has_other else metrics.ABAW2


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

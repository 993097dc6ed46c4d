"""Scores of ABAW2 for a method's predictions."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training import metrics
from training.datasets.frame_table import TASKS, FrameTable, Task
from training.evaluation.dataset_metrics import plain
from training.methods.predict import MethodPredictions, method_predictions

__all__ = ["method_predictions", "method_scores", "scores_text"]

THRESHOLD = 0.5


def method_scores(predictions: MethodPredictions, table: FrameTable) -> dict[str, Any]:
    """ABAW2's scores of the tasks that a method reads and the table labels, all labeled frames
    pooled, as plain values.

    `AU`: score, f1_mean, accuracy, exact_match and f1 by AU at 0.5; `EXPR`: score, macro_f1,
    accuracy and f1 by class; `VA`: score, ccc, rmse of valence and arousal; each with its
    frames. `total` is the mean of the scores there are (None without any).
    """
    found: dict[str, Any] = {}
    if predictions.au is not None and table.au_mask.any():
        label = np.where(table.au_mask, table.au, metrics.AU_UNLABELED).astype(np.int64)
        # Where no frame has all twelve (a source that labels some of them), each AU counts where it
        # is known.
        by_column = not metrics.labeled_au(label).any()
        rows = table.au_mask.any(axis=1) if by_column else metrics.labeled_au(label)
        sums = metrics.au_sums(
            predictions.au[rows] > THRESHOLD,
            label[rows],
            np.zeros(rows.sum(), np.int64),
            1,
            by_column=by_column,
        )
        found["AU"] = _named(metrics.au_metrics(sums[0]), AU_NAMES, ("f1",), int(rows.sum()))
    if predictions.expression is not None and table.expression_mask.any():
        rows = table.expression_mask
        figures = metrics.expression_score(
            predictions.expression[rows].argmax(axis=1), table.expression[rows].astype(np.int64)
        )
        found["EXPR"] = _named(figures, EXPRESSION_NAMES, ("f1",), int(rows.sum()))
    if predictions.va is not None and table.va_mask.any():
        rows = table.va_mask
        figures = metrics.va_score(predictions.va[rows], table.va[rows])
        found["VA"] = _named(
            figures,
            ("valence", "arousal"),
            ("ccc", "pearson", "rmse", "sign_agreement"),
            int(rows.sum()),
        )
    scores = [figures["score"] for figures in found.values() if figures["score"] is not None]
    return {**found, "total": float(np.mean(scores)) if scores else None}


def _named(
    figures: metrics.Figures, names: tuple[str, ...], listed: tuple[str, ...], frames: int
) -> dict[str, Any]:
    """Figures as plain values, those of several AUs, classes or dimensions by name."""
    named = {
        key: dict(zip(names, value, strict=True)) if key in listed else value
        for key, value in figures.items()
    }
    found: dict[str, Any] = plain({**named, "frames": frames})
    return found


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
        else "no labeled frame to judge by"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

"""Averages predictions over neighboring frames of a video, with windows chosen on labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training import metrics
from training.evaluation.label_table import LabelTable
from training.evaluation.prediction_table import PredictionTable, hold_last

WINDOWS: Final = (1, 5, 15, 31, 61, 121)
"""Lengths in frames that are tried; a length is odd, for the frame and as many to either side."""

THRESHOLD: Final = 0.5
Windows = dict[str, int]
"""Length for each of `au_probability`, `expression_probability` and `va`."""


def smooth(predictions: PredictionTable, labels: LabelTable, windows: Windows) -> PredictionTable:
    """Means over the known frames of a window around each known frame.

    AUs become active where their mean probability is above 0.5, if their window is longer than one.

    Raises:
        ValueError: a length is even or below one.
    """
    changed: dict[str, Any] = {
        name: _means(getattr(predictions, name), predictions.known, labels, length)
        for name, length in windows.items()
        if length != 1
    }
    if "au_probability" in changed:
        active = changed["au_probability"] > THRESHOLD
        changed["au_active"] = np.where(predictions.known[:, None], active, False)
    return replace(predictions, **changed)


def choose_windows(
    predictions: PredictionTable, labels: LabelTable, rules: str = metrics.ABAW2
) -> Windows:
    """The length of the best score of each task on the labels; 1 for a task without labels."""
    scores: dict[str, Callable[[PredictionTable], float]] = {
        "au_probability": lambda held: _score(_au(held, labels, rules)),
        "expression_probability": lambda held: _score(_expression(held, labels, rules)),
        "va": lambda held: _score(_va(held, labels)),
    }
    chosen = {}
    for name, score in scores.items():
        values = [
            score(hold_last(smooth(predictions, labels, {name: length}), labels))
            for length in WINDOWS
        ]
        chosen[name] = WINDOWS[int(np.nanargmax(values))] if np.isfinite(values).any() else 1
    return chosen


def _means(
    values: NDArray[np.float32], known: NDArray[np.bool_], labels: LabelTable, length: int
) -> NDArray[np.float32]:
    if length < 1 or length % 2 == 0:
        raise ValueError(f"expected an odd number of frames from 1, got {length}")
    means: NDArray[np.float32] = values.copy()
    for video in range(len(labels.videos)):
        rows = labels.rows_of(video)
        is_known = known[rows]
        filled = np.where(is_known[:, None], values[rows], 0).astype(np.float64)
        count, total = (
            np.concatenate([np.zeros((1, part.shape[1])), np.cumsum(part, axis=0)])
            for part in (is_known[:, None].astype(np.float64), filled)
        )
        frames = np.arange(len(is_known))
        first = np.maximum(frames - length // 2, 0)
        end = np.minimum(frames + length // 2 + 1, len(is_known))
        mean = (total[end] - total[first]) / np.maximum(count[end] - count[first], 1)
        means[rows] = np.where(is_known[:, None], mean, values[rows]).astype(np.float32)
    return means


def _score(values: metrics.Metrics | None) -> float:
    return float("nan") if values is None else float(values["score"])


def _au(held: PredictionTable, labels: LabelTable, rules: str) -> metrics.Metrics | None:
    rows = metrics.labeled_au(labels.au)
    return metrics.au_score(held.au_active[rows], labels.au[rows], rules) if rows.any() else None


def _expression(held: PredictionTable, labels: LabelTable, rules: str) -> metrics.Metrics | None:
    rows = metrics.labeled_expression(labels.expression, metrics.class_count(rules))
    if not rows.any():
        return None
    return metrics.expression_score(held.expression[rows], labels.expression[rows], rules)


def _va(held: PredictionTable, labels: LabelTable) -> metrics.Metrics | None:
    rows = metrics.labeled_va(labels.va)
    return metrics.va_score(held.va[rows], labels.va[rows]) if rows.any() else None

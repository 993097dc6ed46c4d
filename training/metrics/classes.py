"""Multi-class metrics: accuracy, confusion matrix and macro-F1."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES
from training.metrics.checks import check_rows

Classes = NDArray[np.integer]


def macro_f1(predicted: Classes, truth: Classes, classes: int = len(EXPRESSION_NAMES)) -> float:
    """Unweighted mean F1 of the classes, 0 for an absent one; NaN without rows."""
    return float(f1_of_confusion(confusion(predicted, truth, classes)).mean())


def accuracy(predicted: Classes, truth: Classes) -> float:
    """Fraction of rows that agree; NaN without rows."""
    check_rows(predicted, truth)
    return float((predicted == truth).mean()) if len(truth) else math.nan


def confusion(
    predicted: Classes, truth: Classes, classes: int = len(EXPRESSION_NAMES)
) -> NDArray[np.int64]:
    """Confusion matrix [true, predicted]; ValueError for an index outside 0 .. classes - 1."""
    check_rows(predicted, truth)
    both = np.concatenate([predicted, truth])
    if len(both) and not (both.min() >= 0 and both.max() < classes):
        raise ValueError(
            f"expected classes 0 to {classes - 1}, got {int(both.min())} to {int(both.max())}; "
            "mask other rows"
        )
    cell = truth.astype(np.int64) * classes + predicted
    return np.bincount(cell, minlength=classes**2).reshape(classes, classes)


def f1_of_confusion(matrix: NDArray[np.number]) -> NDArray[np.float64]:
    """F1 of each class [..., C] of confusion matrices [..., C, C]; NaN for an empty matrix."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    both = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    score = 2 * hits / np.where(both > 0, both, 1)
    return np.where(matrix.sum(axis=(-2, -1))[..., None] > 0, score, np.nan)

"""Several classes of which one is true: accuracy, confusion, macro-F1."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES
from training.metrics.checks import check_rows

Classes = NDArray[np.integer]


def macro_f1(predicted: Classes, truth: Classes, classes: int = len(EXPRESSION_NAMES)) -> float:
    """Unweighted mean of the classes' F1; a class absent on both sides counts 0; NaN without rows."""
    return float(f1_of_confusion(confusion(predicted, truth, classes)).mean())


def accuracy(predicted: Classes, truth: Classes) -> float:
    """Share of rows that agree; NaN without rows."""
    check_rows(predicted, truth)
    return float((predicted == truth).mean()) if len(truth) else math.nan


def confusion(
    predicted: Classes, truth: Classes, classes: int = len(EXPRESSION_NAMES)
) -> NDArray[np.int64]:
    """Counts [true, predicted]; raises ValueError for an index outside 0 .. classes - 1."""
    check_rows(predicted, truth)
    both = np.concatenate([predicted, truth])
    if len(both) and not (both.min() >= 0 and both.max() < classes):
        raise ValueError(
            f"classes must be 0 to {classes - 1}, got {int(both.min())} to {int(both.max())}; mask other rows"
        )
    cell = truth.astype(np.int64) * classes + predicted
    return np.bincount(cell, minlength=classes**2).reshape(classes, classes)


def f1_of_confusion(matrix: NDArray[np.number]) -> NDArray[np.float64]:
    """F1 of each class [..., C] of counts [..., true, predicted]; NaN where the whole matrix is
    empty.
    """
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    both = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    score = 2 * hits / np.where(both > 0, both, 1)
    return np.where(matrix.sum(axis=(-2, -1))[..., None] > 0, score, np.nan)

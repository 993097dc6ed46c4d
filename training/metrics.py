"""What the results are measured by; definitions as in the ABAW challenges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import EXPRESSION_NAMES


def f1(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """F1 of the positive class; 0 where it is absent on both sides."""
    both = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / both if both else 0.0


def macro_f1(predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: int = len(EXPRESSION_NAMES)) -> float:
    """Unweighted mean of the classes' F1."""
    return float(np.mean([f1(predicted == k, truth == k) for k in range(classes)]))


def accuracy(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Share of rows that agree."""
    return float((predicted == truth).mean())


def confusion(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: int = len(EXPRESSION_NAMES)
) -> NDArray[np.int64]:
    """Counts [true, predicted]."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def ccc(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Concordance correlation coefficient (population moments); 0 for a constant prediction."""
    a, b = predicted.astype(np.float64), truth.astype(np.float64)
    covariance = ((a - a.mean()) * (b - b.mean())).mean()
    return float(2 * covariance / (a.var() + b.var() + (a.mean() - b.mean()) ** 2 + 1e-8))


def best_threshold(probability: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """The probability from which "on" gives the best F1, kept within 0.2 and 0.8; of equals the middle one."""
    steps = np.round(np.arange(0.2, 0.801, 0.025), 3)
    scores = np.array([f1(probability >= step, truth) for step in steps])
    best = np.flatnonzero(scores == scores.max())
    return float(steps[best[len(best) // 2]])

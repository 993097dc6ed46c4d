"""Binary metrics: F1, AUROC, average precision and the threshold of the best F1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.checks import check_rows

Scores = NDArray[np.floating]
Flags = NDArray[np.bool_]


def f1(predicted: Flags, truth: Flags) -> float:
    """F1 of the positive class; 0 if it is neither present nor predicted."""
    total = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / total if total else 0.0


def auroc(score: Scores, truth: Flags) -> float:
    """Area under the ROC curve of scores [N] by the Mann-Whitney U statistic; NaN for one class.

    The probability that a positive row scores above a negative one, with ties counting half.
    """
    check_rows(score, truth)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return math.nan
    _, rank, count = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    u = mean_rank[rank[truth]].sum() - positives * (positives + 1) / 2
    return float(u / (positives * negatives))


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision and recall [K] at descending score thresholds [K]; the last recall is 1."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    threshold: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Area under the step curve, sum (R_k - R_{k-1}) P_k; NaN for an empty curve."""
        if not len(self.recall):
            return math.nan
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def downsampled(self, points: int) -> PrecisionRecall:
        """About `points` of the curve, evenly spaced in recall with both ends, for plotting."""
        if len(self.recall) <= points:
            return self
        rows = np.unique(
            np.searchsorted(self.recall, np.linspace(self.recall[0], self.recall[-1], points))
        )
        rows = np.union1d(rows, [0, len(self.recall) - 1])
        return PrecisionRecall(self.precision[rows], self.recall[rows], self.threshold[rows])


def precision_recall(score: Scores, truth: Flags) -> PrecisionRecall:
    """Precision-recall curve over the distinct scores of rows [N]; empty if no row is positive."""
    if not truth.any():
        check_rows(score, truth)
        return PrecisionRecall(*(np.zeros(0) for _ in range(3)))
    threshold, hits, predicted = _cumulative_counts(score, truth)
    return PrecisionRecall(hits / predicted, hits / truth.sum(), threshold)


def best_f1(score: Scores, truth: Flags) -> float:
    """Maximum F1 over all thresholds: an upper bound for any threshold; 0 without positives."""
    if not truth.any():
        return 0.0
    _, hits, predicted = _cumulative_counts(score, truth)
    return float((2 * hits / (predicted + truth.sum())).max())


def best_threshold(probability: Scores, truth: Flags, low: float = 0.2, high: float = 0.8) -> float:
    """Probability threshold of the best F1 within [low, high]; their mean without positives.

    All thresholds between two adjacent probabilities are equivalent, so the midpoint is returned;
    of equally good intervals, the widest one.
    """
    if not truth.any():
        check_rows(probability, truth)
        return (low + high) / 2
    threshold, hits, predicted = _cumulative_counts(probability, truth)
    # Entry k predicts the rows of the k highest scores: thresholds in (lower_k, upper_k].
    score = np.concatenate([[0.0], 2 * hits / (predicted + truth.sum())])
    lower = np.concatenate([threshold, [-np.inf]])
    upper = np.concatenate([[np.inf], threshold])
    bounded_lower = np.maximum(lower, low)
    bounded_upper = np.minimum(upper, high)
    score[(bounded_lower > bounded_upper) | (bounded_upper <= lower)] = -1
    margin = np.where(score == score.max(), bounded_upper - bounded_lower, -1)
    best = int(margin.argmax())
    return float((bounded_lower[best] + bounded_upper[best]) / 2)


def _cumulative_counts(
    score: Scores, truth: Flags
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct scores [K], descending, with true and predicted positives [K] at each threshold."""
    check_rows(score, truth)
    order = np.argsort(-score, kind="stable")
    ordered = score[order].astype(np.float64)
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    hits = np.cumsum(truth[order], dtype=np.int64)
    return ordered[last], hits[last], (last + 1).astype(np.int64)

"""One class against the rest: F1, areas under curves, the threshold of the best F1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.checks import check_rows

Scores = NDArray[np.floating]
Flags = NDArray[np.bool_]


def f1(predicted: Flags, truth: Flags) -> float:
    """F1 of the positive class; 0 where it is absent on both sides."""
    both = int(predicted.sum()) + int(truth.sum())
    return 2 * int((predicted & truth).sum()) / both if both else 0.0


def auroc(score: Scores, truth: Flags) -> float:
    """Probability that a positive row [N] scores above a negative one, ties half (Mann-Whitney U);
    NaN for one class.
    """
    check_rows(score, truth)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return math.nan
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    u = mean_rank[place[truth]].sum() - positives * (positives + 1) / 2
    return float(u / (positives * negatives))


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision and recall [K] of "on from this score up", by falling threshold [K]; recall ends at
    1.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    threshold: NDArray[np.float64]

    @property
    def average_precision(self) -> float:
        """Area of the steps under the curve, sum (R_k - R_{k-1}) P_k; NaN for an empty curve."""
        if not len(self.recall):
            return math.nan
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def downsampled(self, points: int) -> PrecisionRecall:
        """About `points` of the curve, evenly along the recall, with both ends: for drawing."""
        if len(self.recall) <= points:
            return self
        rows = np.unique(
            np.searchsorted(self.recall, np.linspace(self.recall[0], self.recall[-1], points))
        )
        rows = np.union1d(rows, [0, len(self.recall) - 1])
        return PrecisionRecall(self.precision[rows], self.recall[rows], self.threshold[rows])


def precision_recall(score: Scores, truth: Flags) -> PrecisionRecall:
    """The curve over the distinct scores [N]; empty where no row is positive, since recall does not
    exist then.
    """
    if not truth.any():
        check_rows(score, truth)
        return PrecisionRecall(*(np.zeros(0) for _ in range(3)))
    threshold, hits, called = _cuts(score, truth)
    return PrecisionRecall(hits / called, hits / truth.sum(), threshold)


def average_precision(score: Scores, truth: Flags) -> float:
    """Area under the precision-recall steps, not interpolated; NaN where no row is positive."""
    return precision_recall(score, truth).average_precision


def best_f1(score: Scores, truth: Flags) -> float:
    """F1 at the threshold that suits these very rows best: what a better threshold could reach; 0
    without positives.
    """
    if not truth.any():
        return 0.0
    _, hits, called = _cuts(score, truth)
    return float((2 * hits / (called + truth.sum())).max())


def best_threshold(
    probability: Scores, truth: Flags, least: float = 0.2, most: float = 0.8, slack: float = 0.0
) -> float:
    """The probability from which "on" gives the best F1, kept within `least` and `most`; their
    middle without positives.

    Every threshold between two neighboring probabilities decides alike, so the middle between
    them is given; of equally good ones that with the widest margin. With `slack` it is the
    lowest whose F1 is at most that much below the best.
    """
    if not truth.any():
        check_rows(probability, truth)
        return (least + most) / 2
    threshold, hits, called = _cuts(probability, truth)
    # Cut k calls the rows of the k highest scores; it stands for thresholds in (low_k, high_k].
    score = np.concatenate([[0.0], 2 * hits / (called + truth.sum())])
    low = np.concatenate([threshold, [-np.inf]])
    high = np.concatenate([[np.inf], threshold])
    bounded_low, bounded_high = np.maximum(low, least), np.minimum(high, most)
    score[(bounded_low > bounded_high) | (bounded_high <= low)] = -1
    if slack > 0:
        best = int(
            np.flatnonzero(score >= score.max() - slack)[-1]
        )  # cuts stand from high thresholds to low ones
    else:
        margin = np.where(score == score.max(), bounded_high - bounded_low, -1)
        best = int(margin.argmax())
    return float((bounded_low[best] + bounded_high[best]) / 2)


def _cuts(
    score: Scores, truth: Flags
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct scores [K], falling; true positives and called rows [K] of "on from this score up"."""
    check_rows(score, truth)
    order = np.argsort(-score, kind="stable")
    ordered = score[order].astype(np.float64)
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    hits = np.cumsum(truth[order], dtype=np.int64)
    return ordered[last], hits[last], (last + 1).astype(np.int64)

"""Probability calibration: reliability curves and the expected calibration error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.metrics.abaw import labeled_expression
from training.metrics.checks import check_rows

BINS: Final = 15
"""Number of equal-width bins, as in Guo et al. 2017, "On Calibration of Modern Neural Networks"."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Rows binned by probability into B equal-width bins over [0, 1]; NaN in empty bins."""

    probability: NDArray[np.float64]  # [B] mean probability
    frequency: NDArray[np.float64]  # [B] fraction of positive rows
    count: NDArray[np.int64]  # [B]

    @property
    def error(self) -> float:
        """Expected calibration error: mean |probability - frequency|, bins weighted by rows.

        NaN without rows.
        """
        if not self.count.sum():
            return math.nan
        filled = self.count > 0
        gap = np.abs(self.probability[filled] - self.frequency[filled])
        return float((gap * self.count[filled]).sum() / self.count.sum())


def reliability(
    probability: NDArray[np.floating], truth: NDArray[np.bool_], bins: int = BINS
) -> Reliability:
    """Reliability curve of probabilities [N]; raises ValueError for a value outside [0, 1]."""
    check_rows(probability, truth)
    if len(probability) and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f"expected probabilities in [0, 1], got {probability.min()} to {probability.max()}"
        )
    p = probability.astype(np.float64)
    index = np.minimum((p * bins).astype(np.int64), bins - 1)
    count = np.bincount(index, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    mean = np.bincount(index, weights=p, minlength=bins) / divisor
    frequency = np.bincount(index, weights=truth.astype(np.float64), minlength=bins) / divisor
    return Reliability(mean, frequency, count)


def au_reliability(
    probability: NDArray[np.floating], label: NDArray[np.integer], bins: int = BINS
) -> list[Reliability]:
    """One curve per AU of probabilities [N, 12], over the rows with a label [N, 12] of that AU."""
    known = label >= 0
    return [
        reliability(probability[known[:, k], k], label[known[:, k], k] == 1, bins)
        for k in range(len(AU_NAMES))
    ]


def expression_reliability(
    probability: NDArray[np.floating], label: NDArray[np.integer], bins: int = BINS
) -> Reliability:
    """Curve of the top class of probabilities [N, C]: its probability against its accuracy."""
    known = labeled_expression(label, probability.shape[1])
    p = probability[known]
    return reliability(p.max(axis=1, initial=0.0), p.argmax(axis=1) == label[known], bins)

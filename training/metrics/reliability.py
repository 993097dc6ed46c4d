"""Whether a probability means what it says: reliability curves and the expected calibration error."""

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
"""Bins of equal width, as many as Guo et al. (2017, "On Calibration of Modern Neural Networks")
take.
"""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Rows sorted into bins of equal width over [0, 1] by their probability; NaN in empty bins."""

    probability: NDArray[np.float64]  # [B] mean probability of a bin's rows
    frequency: NDArray[np.float64]  # [B] how often it came true
    count: NDArray[np.int64]  # [B]

    @property
    def error(self) -> float:
        """Expected calibration error: mean |probability - frequency| of the bins by their rows; NaN
        without rows.
        """
        if not self.count.sum():
            return math.nan
        filled = self.count > 0
        gap = np.abs(self.probability[filled] - self.frequency[filled])
        return float((gap * self.count[filled]).sum() / self.count.sum())


def reliability(
    probability: NDArray[np.floating], came_true: NDArray[np.bool_], bins: int = BINS
) -> Reliability:
    """The curve of probabilities [N] in [0, 1]; raises ValueError for a value outside."""
    check_rows(probability, came_true)
    if len(probability) and not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError(
            f"probabilities must lie in [0, 1], got {probability.min()} to {probability.max()}"
        )
    p = probability.astype(np.float64)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    some = np.where(count > 0, count, np.nan)
    mean = np.bincount(place, weights=p, minlength=bins) / some
    frequency = np.bincount(place, weights=came_true.astype(np.float64), minlength=bins) / some
    return Reliability(mean, frequency, count)


def au_reliability(
    probability: NDArray[np.floating], label: NDArray[np.integer], bins: int = BINS
) -> list[Reliability]:
    """One curve per AU of probabilities [N, 12] over the rows where that AU is labeled 0 or 1 in
    [N, 12].
    """
    known = label >= 0
    return [
        reliability(probability[known[:, k], k], label[known[:, k], k] == 1, bins)
        for k in range(len(AU_NAMES))
    ]


def expression_reliability(
    probability: NDArray[np.floating], label: NDArray[np.integer], bins: int = BINS
) -> Reliability:
    """Top-label curve of class probabilities [N, 7]: how sure the winner is, and how often it is
    right.
    """
    known = labeled_expression(label)
    p = probability[known]
    return reliability(p.max(axis=1, initial=0.0), p.argmax(axis=1) == label[known], bins)

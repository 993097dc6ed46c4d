"""Regression metrics of valence and arousal: CCC, Pearson correlation, RMSE, sign agreement.

All are functions of seven sums over rows, so metrics over many videos follow from added sums.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.metrics.checks import check_rows

Values = NDArray[np.floating]

CCC_EPSILON: Final = 1e-8
"""Added to the denominator of the CCC, so that two equal constants give 0 instead of 0 / 0."""

MOMENTS: Final = 7


def moments(predicted: Values, truth: Values) -> NDArray[np.float64]:
    """Terms [N, 7] to be summed over rows: 1, p, t, p^2, t^2, p t, and 1 where the signs agree."""
    p = predicted.astype(np.float64)
    t = truth.astype(np.float64)
    return np.stack([np.ones_like(p), p, t, p * p, t * t, p * t, np.sign(p) == np.sign(t)], axis=-1)


def ccc_of_moments(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """CCC [...] of summed moments [..., 7]; NaN without rows."""
    p_mean, t_mean, p_var, t_var, covariance = _central(sums)
    return 2 * covariance / (p_var + t_var + (p_mean - t_mean) ** 2 + CCC_EPSILON)


def pearson_of_moments(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson correlation [...] of summed moments [..., 7]; NaN without rows or variance."""
    _, _, p_var, t_var, covariance = _central(sums)
    spread = np.sqrt(p_var * t_var)
    return covariance / np.where(spread > 1e-12, spread, np.nan)


def rmse_of_moments(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean squared error [...] of summed moments [..., 7]; NaN without rows."""
    error = sums[..., 3] + sums[..., 4] - 2 * sums[..., 5]
    return np.sqrt(np.maximum(error, 0) / _count(sums))


def sign_agreement_of_moments(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fraction of rows with equal signs [...] of summed moments [..., 7]; NaN without rows."""
    return sums[..., 6] / _count(sums)


def ccc(predicted: Values, truth: Values) -> float:
    """Concordance correlation coefficient of [N] (Lin 1989, population moments).

    0 for a constant prediction, NaN without rows. The 1e-8 in the denominator is that of the
    challenge's reference implementation.
    """
    check_rows(predicted, truth)
    if not len(truth):
        return math.nan
    # The CCC is invariant to a common shift; centering reduces the rounding error of large values.
    shift = np.float64(truth.mean(dtype=np.float64))
    return float(ccc_of_moments(moments(predicted - shift, truth - shift).sum(axis=0)))


def icc(predicted: Values, truth: Values) -> float:
    """Intraclass correlation ICC(3, 1) of [N] (Shrout and Fleiss 1979), predictor and truth as
    the two raters; NaN without rows or variance.
    """
    check_rows(predicted, truth)
    if not len(truth):
        return math.nan
    covariance = np.cov(predicted.astype(np.float64), truth.astype(np.float64), bias=True)
    total = covariance[0, 0] + covariance[1, 1]
    return float(2 * covariance[0, 1] / total) if total > 0 else math.nan


def rmse(predicted: Values, truth: Values) -> float:
    """Root mean squared error of [N]; NaN without rows."""
    check_rows(predicted, truth)
    error = predicted.astype(np.float64) - truth
    return float(np.sqrt((error * error).mean())) if len(truth) else math.nan


def _count(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(sums[..., 0] > 0, sums[..., 0], np.nan)


def _central(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Means, variances and covariance from summed moments."""
    count = _count(sums)
    p_mean, t_mean = sums[..., 1] / count, sums[..., 2] / count
    p_var = np.maximum(sums[..., 3] / count - p_mean**2, 0)
    t_var = np.maximum(sums[..., 4] / count - t_mean**2, 0)
    return p_mean, t_mean, p_var, t_var, sums[..., 5] / count - p_mean * t_mean

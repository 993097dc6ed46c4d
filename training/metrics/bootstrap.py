"""Confidence intervals: the videos are drawn anew, not the frames, since neighboring frames say the
same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Metrics = dict[str, NDArray[np.float64]]


def bootstrap(
    sums: NDArray[np.float64],
    figures: Callable[[NDArray[np.float64]], Metrics],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Metrics:
    """Lower and upper bound [2, ...] of each figure: percentiles over `resamples` draws of V videos
    with replacement.

    `sums` [V, K] holds each video's sums and `figures` turns added sums [B, K] into figures [B,
    ...]; a video without any labeled frame (all sums 0) is not drawn. NaN for fewer than two
    videos: one video cannot tell how videos differ. (Efron & Tibshirani 1993, percentile
    interval.)
    """
    drawn = sums[sums.any(axis=1)]
    count = len(drawn)
    if count < 2:
        shapes = {name: np.shape(value) for name, value in figures(sums.sum(axis=0)).items()}
        return {name: np.full((2, *shape), np.nan) for name, shape in shapes.items()}
    weights = np.random.default_rng(seed).multinomial(
        count, np.full(count, 1 / count), size=resamples
    )
    samples = figures(weights.astype(np.float64) @ drawn)
    tails = [50 * (1 - level), 50 * (1 + level)]
    with warnings.catch_warnings():  # a figure that no draw has is NaN
        warnings.filterwarnings("ignore", "All-NaN slice")
        return {name: np.nanpercentile(value, tails, axis=0) for name, value in samples.items()}

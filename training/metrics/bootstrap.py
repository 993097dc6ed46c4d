"""Bootstrap confidence intervals over videos.

Videos rather than frames are resampled, since neighboring frames are not independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Metrics = dict[str, NDArray[np.float64]]


def bootstrap(
    sums: NDArray[np.float64],
    metrics: Callable[[NDArray[np.float64]], Metrics],
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Metrics:
    """Percentile bootstrap interval of each metric (Efron & Tibshirani 1993).

    Args:
        sums: [V, K] sums of each video; videos without labeled frames (all sums 0) are not drawn.
        metrics: maps added sums [B, K] to metrics [B, ...].
        resamples: draws of V videos with replacement.
        seed: of the draws.
        level: coverage of the interval.

    Returns:
        Lower and upper bound [2, ...] of each metric; NaN for fewer than two videos, which say
        nothing about the variation between videos.
    """
    drawn = sums[sums.any(axis=1)]
    count = len(drawn)
    if count < 2:
        shapes = {name: np.shape(value) for name, value in metrics(sums.sum(axis=0)).items()}
        return {name: np.full((2, *shape), np.nan) for name, shape in shapes.items()}
    weights = np.random.default_rng(seed).multinomial(
        count, np.full(count, 1 / count), size=resamples
    )
    samples = metrics(weights.astype(np.float64) @ drawn)
    tails = [50 * (1 - level), 50 * (1 + level)]
    with warnings.catch_warnings():  # a metric undefined in all draws is NaN
        warnings.filterwarnings("ignore", "All-NaN slice")
        return {name: np.nanpercentile(value, tails, axis=0) for name, value in samples.items()}

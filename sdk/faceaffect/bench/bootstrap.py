"""Bootstrap confidence intervals of latency percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

CONFIDENCE: Final = 0.95
_RESAMPLES: Final = 500
_SEED: Final = 0  # equal samples give equal intervals


def percentile_intervals(
    rounds: Sequence[Sequence[float]], percentiles: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """Return 95 % confidence intervals of percentiles over the samples of all rounds.

    Rounds are resampled with replacement, and in each the frames in blocks (circular block
    bootstrap, Politis and Romano 1992): samples of one process share its memory layout, and
    neighboring frames the state of caches and clocks. With few rounds the spread between rounds
    is underestimated, as by every bootstrap.

    Args:
        rounds: Times of each round, in measurement order.
        percentiles: Percentiles, 0 to 100.

    Returns:
        Lower and upper bound by percentile; empty without samples.
    """
    samples = [np.asarray(one, np.float64) for one in rounds if len(one)]
    if not samples:
        return {}
    random = np.random.default_rng(_SEED)
    values = np.empty((_RESAMPLES, len(percentiles)))
    for row in values:
        drawn = [
            _resample_blocks(samples[number], random)
            for number in random.integers(len(samples), size=len(samples))
        ]
        row[:] = np.percentile(np.concatenate(drawn), percentiles)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, (tail, 100 - tail), axis=0)
    return {one: (float(low[k]), float(high[k])) for k, one in enumerate(percentiles)}


def _resample_blocks(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return as many values as there are, in circular blocks of about the cube root of them."""
    count = len(values)
    length = max(1, round(count ** (1 / 3)))
    starts = random.integers(count, size=-(-count // length))
    indices = (starts[:, None] + np.arange(length)) % count
    drawn: np.ndarray = values[indices.ravel()[:count]]
    return drawn

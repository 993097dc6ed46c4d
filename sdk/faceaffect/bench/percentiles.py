"""Summary statistics of latencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

PERCENTILES: Final[tuple[int, ...]] = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Statistics of times in milliseconds; all NaN if there are none.

    Percentiles interpolate linearly between order statistics (NumPy's default). `jitter` is the
    mean absolute difference between successive frames: the interarrival jitter of RFC 3550
    (section 6.4.1) with a plain mean instead of its running one.
    """

    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    mean: float
    jitter: float
    count: int

    @classmethod
    def from_rounds(cls, rounds: Sequence[Sequence[float]]) -> Distribution:
        """Pool the times of all rounds; jitter is computed within rounds."""
        values = (
            np.concatenate([np.asarray(one, np.float64) for one in rounds])
            if rounds
            else np.zeros(0)
        )
        if not len(values):
            unknown = float("nan")
            return cls(unknown, unknown, unknown, unknown, unknown, unknown, unknown, count=0)
        steps = np.concatenate([np.abs(np.diff(np.asarray(one, np.float64))) for one in rounds])
        p50, p90, p95, p99 = np.percentile(values, PERCENTILES).tolist()
        jitter = float(steps.mean()) if len(steps) else 0.0
        return cls(
            p50, p90, p95, p99, float(values.max()), float(values.mean()), jitter, len(values)
        )

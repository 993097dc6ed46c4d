"""A list of times in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

PERCENTILES: Final[tuple[int, ...]] = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of times in milliseconds. Percentiles interpolate linearly between order statistics (NumPy's
    default).

    `jitter` is the mean absolute difference of one frame to the next, the interarrival jitter of
    RFC 3550 (section 6.4.1) as a plain mean instead of its running one.
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
    def of(cls, rounds: Sequence[Sequence[float]]) -> Distribution:
        """All rounds together; only jitter does not look from the end of one to the start of the
        next. NaN where empty.
        """
        values = (
            np.concatenate([np.asarray(one, np.float64) for one in rounds])
            if rounds
            else np.zeros(0)
        )
        if not len(values):
            unknown = float("nan")
            return cls(unknown, unknown, unknown, unknown, unknown, unknown, unknown, 0)
        steps = np.concatenate([np.abs(np.diff(np.asarray(one, np.float64))) for one in rounds])
        p50, p90, p95, p99 = np.percentile(values, PERCENTILES).tolist()
        jitter = float(steps.mean()) if len(steps) else 0.0
        return cls(
            p50, p90, p95, p99, float(values.max()), float(values.mean()), jitter, len(values)
        )

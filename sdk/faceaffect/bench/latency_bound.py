"""The highest camera frame rate at which latency stays within a bound."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from faceaffect.bench.configuration import BenchError
from faceaffect.bench.simulated_camera import CameraRound

MIN_FPS: Final = 5.0
MAX_FPS: Final = 2000.0
_RELATIVE_STEP: Final = 1.03
_FRAMES_BEYOND: Final = 2  # expected number of frames above the percentile in one trial


@dataclass(frozen=True, slots=True)
class LatencyBound:
    """At least `percentile` % of the frames have a result after at most `ms` milliseconds."""

    percentile: float
    ms: float

    @classmethod
    def parse(cls, text: str) -> LatencyBound:
        """Parse a bound such as `p99=10ms`.

        Raises:
            BenchError: The text has another form.
        """
        match = re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)=(\d+(?:\.\d+)?)(?:ms)?", text.strip())
        if match is None or float(match[2]) <= 0:
            raise BenchError(f"--slo: expected a bound such as p99=10ms, got {text!r}")
        return cls(float(match[1]), float(match[2]))

    def __str__(self) -> str:
        return f"p{self.percentile:g} at most {self.ms:g} ms"

    @property
    def min_frames(self) -> int:
        """Number of frames in which a few are expected beyond the percentile."""
        return math.ceil(_FRAMES_BEYOND / (1 - self.percentile / 100))

    def is_met_by(self, camera: CameraRound) -> bool:
        """Return whether the frames of a camera meet the bound; dropped ones are never in time."""
        latency_ms = np.full(camera.delivered, math.inf)
        latency_ms[: len(camera.latency_ms)] = camera.latency_ms
        # The smallest latency that at least `percentile` % of the frames do not exceed.
        position = max(0, math.ceil(self.percentile / 100 * camera.delivered) - 1)
        return bool(np.sort(latency_ms)[position] <= self.ms)


def highest_frame_rate(bound: LatencyBound, measure: Callable[[float], CameraRound]) -> float:
    """Search by bisection for the highest frame rate that meets a bound, to 3 %.

    Args:
        bound: Bound of the latency.
        measure: Measures a camera at a frame rate.

    Returns:
        Frames per second; 0 if not even `MIN_FPS` meets the bound, `MAX_FPS` if all rates do.
    """
    if bound.is_met_by(measure(MAX_FPS)):
        return MAX_FPS
    low, high = MIN_FPS, MAX_FPS
    while high / low > _RELATIVE_STEP:
        middle = math.sqrt(low * high)
        if bound.is_met_by(measure(middle)):
            low = middle
        else:
            high = middle
    # The lowest rate takes longest, so it is only measured if no other one met the bound.
    return low if low > MIN_FPS or bound.is_met_by(measure(MIN_FPS)) else 0.0

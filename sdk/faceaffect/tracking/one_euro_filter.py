"""One Euro filter for the landmarks of a face."""

from __future__ import annotations

from dataclasses import dataclass

from faceaffect.kernels import face_ops
from faceaffect.types import DEFAULT_FRAME_INTERVAL_S, FloatArray


@dataclass(frozen=True, slots=True)
class OneEuroConfig:
    """Parameters of the filter: cut-off = min_cutoff_hz + beta * speed.

    The speed is in eye distances a second, so the size of a face does not matter. A still face is
    smoothed at `min_cutoff_hz`; at the speed of a head turn (2 eye distances a second and more) the
    cut-off is so high that no lag is visible.
    """

    min_cutoff_hz: float = 2.0
    beta: float = 6.0
    derivative_cutoff_hz: float = 3.0


class OneEuroFilter:
    """One Euro filter (Casiez, Roussel and Vogel 2012) over points [L, 2] that share one speed.

    The speed is that of the points' mean, so the jitter of single points does not open the filter.
    """

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self._config = config or OneEuroConfig()
        self._points: FloatArray | None = None
        self._speed_x = 0.0
        self._speed_y = 0.0

    def update(self, points_xy: FloatArray, scale_px: float, step_s: float) -> FloatArray:
        """Filter the next points.

        Args:
            points_xy: [L, 2].
            scale_px: Eye distance, the unit of the speed.
            step_s: Time since the last call.

        Returns:
            Filtered points [L, 2]; the first ones as they are.
        """
        if self._points is None:
            self._points = points_xy
            return points_xy
        config = self._config
        self._points, self._speed_x, self._speed_y = face_ops.one_euro(
            points_xy,
            self._points,
            self._speed_x,
            self._speed_y,
            scale_px,
            step_s if step_s > 0 else DEFAULT_FRAME_INTERVAL_S,
            config.min_cutoff_hz,
            config.beta,
            config.derivative_cutoff_hz,
        )
        return self._points

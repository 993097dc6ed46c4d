"""Shot-change detection on a coarse grid of pixels, some tens of microseconds a frame."""

from __future__ import annotations

from typing import Final

from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels import face_ops
from faceaffect.types import FloatArray, Frame

_ROWS: Final[int] = 18
_COLUMNS: Final[int] = 32
_MIN_CHANGE: Final[float] = 18.0  # gray levels
_MIN_RATIO: Final[float] = 4.0  # to the mean change of the frames before
_ALPHA: Final[float] = 0.1


class ShotChangeDetector:
    """Detects cuts: the grid changes much, and much more than in the frames before."""

    def __init__(self) -> None:
        self._grid: FloatArray | None = None
        self._mean_change = 2.0  # gray levels between two frames, running mean
        self.change = 0.0  # mean absolute change of the last frame, gray levels

    def update(self, frame: Frame) -> bool:
        """Whether `frame` begins a new shot; the first frame and one of another size do."""
        row_step = max(1, frame.height_px // _ROWS)
        column_step = max(1, frame.width_px // _COLUMNS)
        sampled = frame
        if isinstance(frame, DeviceFrame):
            sampled, row_step = frame.sample_rows(row_step), 1
        self._grid, change = face_ops.shot_change(sampled, row_step, column_step, self._grid)
        if change is None:
            self.change = 255.0
            return True
        if frame.pixel_format.is_yuv:
            change *= frame.color.luma_scale
        self.change = change
        is_cut = change > max(_MIN_CHANGE, _MIN_RATIO * self._mean_change)
        if not is_cut:
            self._mean_change += _ALPHA * (change - self._mean_change)
        return is_cut

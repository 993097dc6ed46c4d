"""Has the image changed at once? A glance at a coarse grid of pixels, some tens of microseconds a
frame.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from faceaffect.kernels.native import native
from faceaffect.types import FloatArray, Frame, PixelFormat

_ROWS: Final[int] = 18
_COLUMNS: Final[int] = 32
_CUT_GRAY_LEVELS: Final[float] = 18.0
_CUT_RATIO: Final[float] = 4.0
_MEMORY: Final[float] = 0.1


class ShotChangeDetector:
    """Tells a cut from motion: a cut changes the grid much, and much more than the frames before
    did.
    """

    def __init__(self) -> None:
        self._last: FloatArray | None = None
        self._usual = 2.0  # gray levels of change between two frames, running mean
        self.change = 0.0  # mean absolute change of the last frame, gray levels

    def is_cut(self, frame: Frame) -> bool:
        """Whether this frame begins a new scene; the first frame does, and so does one of another
        shape.
        """
        self._last, change = _look(frame, self._last)
        if change is None:
            self.change = 255.0
            return True
        self.change = change
        cut = self.change > max(_CUT_GRAY_LEVELS, _CUT_RATIO * self._usual)
        if not cut:
            self._usual += _MEMORY * (self.change - self._usual)
        return cut


def _look(frame: Frame, last: FloatArray | None) -> tuple[FloatArray, float | None]:
    """The grid of `frame` [rows, columns], and its mean absolute change from `last` in gray levels,
    None where that has another shape.
    """
    row_step, column_step = max(1, frame.height_px // _ROWS), max(1, frame.width_px // _COLUMNS)
    is_color = frame.layout in (PixelFormat.BGR, PixelFormat.RGB)
    # Pixels that do not lie side by side would be copied, all of them, for a few hundred samples.
    lies_plainly = frame.pixels.strides[1:] == ((3, 1) if is_color else (1,))
    if native is not None and lies_plainly:
        found: tuple[FloatArray, float | None] = native.scene_change(
            frame.pixels, frame.layout, row_step, column_step, last
        )
        return found
    rows, columns = (
        slice(row_step // 2, frame.height_px, row_step),
        slice(column_step // 2, frame.width_px, column_step),
    )
    # Green alone stands for gray in color frames.
    grid = (frame.pixels[rows, columns, 1] if is_color else frame.pixels[rows, columns]).astype(
        np.float32
    )
    if last is None or last.shape != grid.shape:
        return grid, None
    return grid, float(np.abs(last - grid).mean(dtype=np.float64))

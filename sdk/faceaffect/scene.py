"""Has the picture changed at once? A glance at a coarse grid of pixels, some tens of microseconds a frame."""

from __future__ import annotations

from typing import Final

import numpy as np

from faceaffect.types import FloatArray, Frame, Layout

_ROWS: Final[int] = 18
_COLUMNS: Final[int] = 32
_CUT_GREY_LEVELS: Final[float] = 18.0
_CUT_RATIO: Final[float] = 4.0
_MEMORY: Final[float] = 0.1


class SceneGlance:
    """Tells a cut from motion: a cut changes the grid much, and much more than the frames before did."""

    def __init__(self) -> None:
        self._last: FloatArray | None = None
        self._usual = 2.0  # grey levels of change between two frames, running mean
        self.change = 0.0  # mean absolute change of the last frame, grey levels

    def is_cut(self, frame: Frame) -> bool:
        """Whether this frame begins a new scene; the first frame does, and so does one of another shape."""
        grid = _grid(frame)
        last, self._last = self._last, grid
        if last is None or last.shape != grid.shape:
            self.change = 255.0
            return True
        last -= grid  # which nobody needs any more
        self.change = float(np.add.reduce(np.abs(last, out=last), axis=None)) / last.size
        cut = self.change > max(_CUT_GREY_LEVELS, _CUT_RATIO * self._usual)
        if not cut:
            self._usual += _MEMORY * (self.change - self._usual)
        return cut


def _grid(frame: Frame) -> FloatArray:
    pixels, height, width = frame.pixels, frame.height_px, frame.width_px
    row_step, column_step = max(1, height // _ROWS), max(1, width // _COLUMNS)
    rows, columns = slice(row_step // 2, height, row_step), slice(column_step // 2, width, column_step)
    # Green alone stands for grey in colour frames.
    grid = pixels[rows, columns, 1] if frame.layout in (Layout.BGR, Layout.RGB) else pixels[rows, columns]
    return grid.astype(np.float32)

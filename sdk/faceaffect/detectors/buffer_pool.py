"""Reusable image buffers.

Allocating fresh multi-megabyte arrays costs more (page faults) than the resize itself.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MAX_BUFFERS: Final = 32  # a detector resizes a source to two or three sizes; sources may differ


class BufferPool:
    """Arrays by name and shape."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, tuple[int, ...]], NDArray[Any]] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """The uninitialized array of that name and shape; the next such call returns it again."""
        buffer = self._buffers.get((name, shape))
        if buffer is None:
            if len(self._buffers) >= _MAX_BUFFERS:
                self._buffers.clear()
            buffer = self._buffers[name, shape] = np.empty(shape, dtype)
        return buffer

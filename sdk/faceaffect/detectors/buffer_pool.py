"""Memory for images that is kept from look to look: fresh pages of some megabytes cost more than
what is done with them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_MOST: Final = (
    16  # a detector looks at a source in two or three sizes; another source may have others
)


class BufferPool:
    """Arrays by name and shape. What was given out is overwritten by the next one who asks for the
    same.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, tuple[int, ...]], NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
        """The array of that name and shape, with whatever it was left with."""
        array = self._arrays.get((name, shape))
        if array is None:
            if len(self._arrays) >= _MOST:
                self._arrays.clear()
            array = self._arrays[name, shape] = np.empty(shape, dtype)
        return array

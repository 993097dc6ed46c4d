"""Shows transparent frames on a background, so that hidden pixels are not analyzed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_BACKGROUND: Final = 127  # gray: neither dark nor bright hair vanishes in it


def blend_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend an image [H, W, 4], BGRA with straight alpha, over gray to BGR [H, W, 3]."""
    alpha = pixels[:, :, 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(pixels[:, :, :3])
    weight = alpha.astype(np.uint16)
    total = pixels[:, :, :3] * weight + (255 - weight) * np.uint16(_BACKGROUND)
    return np.asarray((total + 127) // 255, np.uint8)

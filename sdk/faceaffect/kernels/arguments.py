"""Checks for the NumPy kernels; the native module has the same ones, in the same words, in C++."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from faceaffect.types import FloatArray

MAX_MAP_ENTRY: Final[float] = 1e12  # keeps every position finite
MAX_SIZE_PX: Final[int] = 8192


def check_maps(estimate_crop_to_frame: Any) -> FloatArray:
    maps = np.asarray(estimate_crop_to_frame, np.float32)
    if maps.ndim != 3 or maps.shape[1:] != (2, 3):
        raise ValueError(
            f"estimate_crop_to_frame must be float32 [N, 2, 3], got {maps.dtype} {maps.shape}"
        )
    if not (np.abs(maps) <= MAX_MAP_ENTRY).all():
        row = int(np.argwhere(~(np.abs(maps) <= MAX_MAP_ENTRY))[0, 0])
        raise ValueError(
            f"estimate_crop_to_frame must be finite and at most 1e12, got {maps[row].tolist()} in row {row}"
        )
    return maps


def check_normalize(mean: Sequence[float], std: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Mean and std, each [3, 1, 1]."""
    arrays = []
    for name, values in (("mean", mean), ("std", std)):
        array = np.asarray(values, np.float32)
        if array.shape != (3,) or not np.isfinite(array).all():
            raise ValueError(f"{name} must be three finite numbers, got {values!r}")
        arrays.append(array.reshape(3, 1, 1))
    if not (arrays[1] > 0).all():
        raise ValueError(f"std must be above 0, got {std!r}")
    return arrays[0], arrays[1]


def check_size_px(size_px: int) -> int:
    try:
        size = operator.index(size_px)
    except TypeError:
        size = 0
    if not 1 <= size <= MAX_SIZE_PX:
        raise ValueError(f"size_px must be a whole number from 1 to {MAX_SIZE_PX}, got {size_px!r}")
    return size


def check_out(out: Any, shape: tuple[int, ...]) -> FloatArray:
    """`out` itself when it fits, a new array when it is None."""
    if out is None:
        return np.empty(shape, np.float32)
    fits = isinstance(out, np.ndarray) and out.dtype == np.float32 and out.shape == shape
    if not fits or not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(
            f"out must be a writable C-contiguous float32 {shape}, "
            f"got {getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}"
        )
    filled: FloatArray = out
    return filled

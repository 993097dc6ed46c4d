"""Argument checks of the NumPy kernels; the native module has the same ones in C++."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from faceaffect.types import FloatArray

MAX_TRANSFORM_ENTRY: Final[float] = 1e12  # keeps every position finite
MAX_SIZE_PX: Final[int] = 8192


def check_transforms(crop_to_frame: Any) -> FloatArray:
    """`crop_to_frame` as finite float32 [N, 2, 3]."""
    transforms = np.asarray(crop_to_frame, np.float32)
    if transforms.ndim != 3 or transforms.shape[1:] != (2, 3):
        raise ValueError(
            f"crop_to_frame must be float32 [N, 2, 3], got {transforms.dtype} {transforms.shape}"
        )
    if not (np.abs(transforms) <= MAX_TRANSFORM_ENTRY).all():
        row = int(np.argwhere(~(np.abs(transforms) <= MAX_TRANSFORM_ENTRY))[0, 0])
        raise ValueError(
            "crop_to_frame must be finite and at most 1e12, "
            f"got {transforms[row].tolist()} in row {row}"
        )
    return transforms


def check_normalize(mean: Sequence[float], std: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """`mean` and `std` as arrays [3, 1, 1]."""
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
    """`size_px` as an int from 1 to 8192."""
    try:
        size = operator.index(size_px)
    except TypeError:
        size = 0
    if not 1 <= size <= MAX_SIZE_PX:
        raise ValueError(f"size_px must be an integer from 1 to {MAX_SIZE_PX}, got {size_px!r}")
    return size


def check_out(out: Any, shape: tuple[int, ...]) -> FloatArray:
    """`out` itself if it has `shape`, a new array if it is None."""
    if out is None:
        return np.empty(shape, np.float32)
    fits = isinstance(out, np.ndarray) and out.dtype == np.float32 and out.shape == shape
    if not fits or not (out.flags.carray and out.flags.aligned):
        raise ValueError(
            f"out must be a writable, aligned, C-contiguous float32 {shape}, "
            f"got {getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}"
        )
    filled: FloatArray = out
    return filled

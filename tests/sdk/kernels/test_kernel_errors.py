"""Argument errors of the kernels, native and NumPy alike."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import MEAN, STD, frame_of, graph_weights, similarity
from faceaffect import kernels
from faceaffect.kernels import reference
from faceaffect.types import PixelFormat

BOTH = pytest.mark.parametrize("module", [kernels, reference], ids=["public", "reference"])


def crop_arguments(**changed: Any) -> dict[str, Any]:
    frame = frame_of(PixelFormat.BGR, 20, 20)
    return {
        "frame": frame,
        "crop_to_frame": similarity(8, 1, 0, (10, 10)),
        "size_px": 8,
        "mean": MEAN,
        "std": STD,
    } | changed


def map_with(value: float) -> np.ndarray:
    maps = similarity(8, 1, 0, (10, 10))
    maps[0, 1, 1] = value
    return maps


def read_only() -> np.ndarray:
    out = np.empty((1, 3, 8, 8), np.float32)
    out.flags.writeable = False
    return out


REFUSED_CROPS = [
    (
        {"crop_to_frame": map_with(np.nan)},
        r"crop_to_frame must be finite .* in row 0",
    ),
    ({"crop_to_frame": map_with(np.inf)}, r"crop_to_frame must be finite"),
    (
        {"crop_to_frame": map_with(-3e20)},
        r"crop_to_frame must be finite and at most 1e12",
    ),
    (
        {"crop_to_frame": np.zeros((2, 3), np.float32)},
        r"crop_to_frame must be float32 \[N, 2, 3\], got",
    ),
    (
        {"crop_to_frame": np.zeros((1, 3, 3), np.float32)},
        r"crop_to_frame must be float32 \[N, 2, 3\], got",
    ),
    ({"size_px": 0}, r"size_px must be an integer from 1 to 8192, got 0"),
    ({"size_px": 1.5}, r"size_px must be an integer"),
    ({"mean": (0, 0)}, r"mean must be three finite numbers, got \(0, 0\)"),
    ({"mean": (0, 0, float("nan"))}, r"mean must be three finite numbers"),
    ({"std": (1, 0, 1)}, r"std must be above 0, got \(1, 0, 1\)"),
    (
        {"out": np.empty((1, 3, 8, 9), np.float32)},
        r"out must be a writable, aligned, C-contiguous float32 \(1, 3, 8, 8\)",
    ),
    ({"out": np.empty((1, 3, 8, 8), np.float64)}, r"out must be .*float64"),
    (
        {"out": np.empty((1, 3, 8, 16), np.float32)[..., ::2]},
        r"out must be a writable, aligned, C-contiguous",
    ),
    ({"out": read_only()}, r"out must be a writable"),
]


@BOTH
@pytest.mark.parametrize(
    ("changed", "message"), REFUSED_CROPS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_crop_face_with_wrong_arguments_raises(
    module: ModuleType, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module.crop_face(**crop_arguments(**changed))


@BOTH
def test_normalize_with_wrong_arguments_raises(module: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"pixels must be uint8 \[N, H, W, 3\], got float32"):
        module.normalize(np.zeros((1, 4, 4, 3), np.float32), MEAN, STD)
    with pytest.raises(ValueError, match=r"pixels must be uint8 \[N, H, W, 3\], got uint8"):
        module.normalize(np.zeros((4, 4, 3), np.uint8), MEAN, STD)


@BOTH
def test_au_gcn_with_wrong_arguments_raises(module: ModuleType) -> None:
    with pytest.raises(
        ValueError, match=r"nodes must be float32 \[N, 12, 16\], got .*\(1, 12, 8\)"
    ):
        module.au_gcn(np.zeros((1, 12, 8), np.float32), graph_weights(16))
    with pytest.raises(ValueError, match=r"out must be"):
        module.au_gcn(
            np.zeros((1, 12, 16), np.float32), graph_weights(16), np.empty((1, 11), np.float32)
        )

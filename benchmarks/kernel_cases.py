"""Test cases of all kernels, shared by tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels import GcnWeights
from faceaffect.types import FloatArray, Frame, PixelFormat, YuvColor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
TOLERANCE = 1e-5
"""Relative to max(1, |value|): kernels may fuse multiply-adds, but not of sampling positions."""


@dataclass(frozen=True, slots=True)
class KernelCase:
    """One call: `make()` returns the keyword arguments of `op` without `out`."""

    op: str
    name: str
    make: Callable[[], dict[str, Any]]
    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        return f"{self.op}: {self.name}"


def textured(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    """Return noise: neighbors differ, so that a wrong tap changes the result."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def frame_of(pixel_format: PixelFormat, height_px: int, width_px: int, seed: int = 0) -> Frame:
    """Return a frame of noise in a pixel format; I420 is BT.709."""
    shapes = {
        PixelFormat.GRAY: (height_px, width_px),
        PixelFormat.NV12: (height_px * 3 // 2, width_px),
        PixelFormat.I420: (height_px, width_px),
    }
    pixels = textured(shapes.get(pixel_format, (height_px, width_px, 3)), seed)
    if pixel_format is not PixelFormat.I420:
        return Frame(pixels, pixel_format)
    u, v = textured((2, (height_px + 1) // 2, (width_px + 1) // 2), seed + 1)
    return Frame(pixels, pixel_format, chroma=(u, v), color=YuvColor.BT709)


def flat_frame(pixel_format: PixelFormat, height_px: int, width_px: int, level: int) -> Frame:
    """Return a frame all of whose bytes are `level`."""
    frame = frame_of(pixel_format, height_px, width_px)
    for plane in (frame.pixels, *(frame.chroma or ())):
        plane[...] = level
    return frame


def similarity(
    size_px: int, scale: float, degrees: float, center_xy: tuple[float, float]
) -> FloatArray:
    """Return a crop-to-frame similarity transform [1, 2, 3].

    Args:
        size_px: Side of the crop.
        scale: Frame pixels per crop pixel.
        degrees: Rotation.
        center_xy: Position of the crop's center in the frame.
    """
    radians, middle = np.deg2rad(degrees), (size_px - 1) / 2
    a, b = scale * np.cos(radians), scale * np.sin(radians)
    x, y = center_xy
    rows = [[a, -b, x - middle * (a - b)], [b, a, y - middle * (a + b)]]
    return np.array([rows], np.float32)


def _crop(frame: Frame, maps: FloatArray, size_px: int) -> dict[str, Any]:
    return {
        "frame": frame,
        "crop_to_frame": maps,
        "size_px": size_px,
        "mean": MEAN,
        "std": STD,
    }


def _face(
    pixel_format: PixelFormat,
    frame_hw: tuple[int, int],
    size_px: int,
    *,
    scale: float,
    degrees: float,
    at: Any,
) -> Any:
    height, width = frame_hw
    frame = frame_of(pixel_format, height, width)
    return _crop(
        frame, similarity(size_px, scale, degrees, (at[0] * width, at[1] * height)), size_px
    )


def _many(count: int) -> dict[str, Any]:
    maps = [
        similarity(40, 0.5 + 0.4 * i, 33.0 * i, (20.0 * i, 90.0 - 9.0 * i)) for i in range(count)
    ]
    return _crop(
        frame_of(PixelFormat.BGR, 90, 160),
        np.concatenate([np.empty((0, 2, 3), np.float32), *maps]),
        40,
    )


def _skewed() -> dict[str, Any]:
    """Return transforms that are no similarities: shear, unequal scales, and a degenerate axis."""
    maps = np.array(
        [[[1.2, 0.4, -3], [-0.1, 2.7, 4]], [[0, 0, 11.5], [0, 0.7, 3]], [[-1, 0, 70], [0, -1, 50]]]
    )
    return _crop(frame_of(PixelFormat.BGR, 64, 80), maps.astype(np.float32), 48)


def _viewed(
    view: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    pixel_format: PixelFormat,
    shape: tuple[int, ...],
) -> Any:
    return _crop(Frame(view(textured(shape)), pixel_format), similarity(32, 1.1, 20, (20, 14)), 32)


def _i420_viewed(view: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> dict[str, Any]:
    luma = view(textured((30, 94)))
    height, width = luma.shape
    u, v = (
        view(textured((30, 94), seed))[: (height + 1) // 2, : (width + 1) // 2] for seed in (1, 2)
    )
    frame = Frame(luma, PixelFormat.I420, chroma=(u, v))
    return _crop(frame, similarity(32, 1.1, 20, (20, 14)), 32)


def _colored(color: YuvColor, pixel_format: PixelFormat) -> dict[str, Any]:
    frame = replace(frame_of(pixel_format, 60, 80), color=color)
    return _crop(frame, similarity(32, 1.1, 20, (40, 30)), 32)


_POSES: dict[str, dict[str, Any]] = {
    "rotated inside": {"frame_hw": (120, 160), "scale": 1.2, "degrees": 25, "at": (0.5, 0.5)},
    "across the left and upper border": {
        "frame_hw": (120, 160),
        "scale": 1.0,
        "degrees": -10,
        "at": (0.05, 0.1),
    },
    "across the right and lower border": {
        "frame_hw": (120, 160),
        "scale": 1.3,
        "degrees": 15,
        "at": (0.97, 0.95),
    },
    "border without rotation": {"frame_hw": (60, 70), "scale": 1.0, "degrees": 0, "at": (1.0, 1.0)},
    "outside the frame": {"frame_hw": (60, 80), "scale": 1.0, "degrees": 30, "at": (3.0, -2.0)},
    "frame of 2 x 2": {"frame_hw": (2, 2), "scale": 0.1, "degrees": 5, "at": (0.4, 0.4)},
    "odd frame": {"frame_hw": (58, 46), "scale": 1.5, "degrees": 100, "at": (0.5, 0.5)},
    "just not halved": {"frame_hw": (120, 160), "scale": 1.95, "degrees": 5, "at": (0.5, 0.5)},
    "just halved once": {"frame_hw": (200, 220), "scale": 3.9, "degrees": 5, "at": (0.5, 0.5)},
    "minified 2.1": {"frame_hw": (200, 202), "scale": 2.1, "degrees": 12, "at": (0.5, 0.5)},
    "minified 3": {"frame_hw": (240, 320), "scale": 3.0, "degrees": -20, "at": (0.6, 0.4)},
    "minified 6": {"frame_hw": (330, 346), "scale": 6.0, "degrees": -7, "at": (0.5, 0.5)},
    "minified 6 across the right and lower border": {
        "frame_hw": (330, 346),
        "scale": 6.0,
        "degrees": 4,
        "at": (0.7, 0.8),
    },
    "minified 10": {"frame_hw": (400, 434), "scale": 10.0, "degrees": 8, "at": (0.5, 0.5)},
    "minified 70": {"frame_hw": (90, 120), "scale": 70.0, "degrees": 8, "at": (0.5, 0.5)},
    "magnified 6": {"frame_hw": (60, 80), "scale": 1 / 6, "degrees": 40, "at": (0.5, 0.5)},
}

_CROPS = [
    KernelCase(
        "crop_face",
        f"{pixel_format.value} {name}",
        partial(_face, pixel_format, size_px=45, **pose),
    )
    for pixel_format in PixelFormat
    for name, pose in _POSES.items()
]

_CROP_EXTRAS: dict[str, Callable[[], dict[str, Any]]] = {
    "no face": partial(_many, 0),
    "eight faces": partial(_many, 8),
    "sheared, flat and mirrored maps": _skewed,
    "crop of 1 px": partial(
        _face, PixelFormat.BGR, (20, 20), 1, scale=1.0, degrees=0, at=(0.5, 0.5)
    ),
    "crop of 5 px": partial(
        _face, PixelFormat.BGR, (20, 20), 5, scale=1.0, degrees=0, at=(0.5, 0.5)
    ),
    "crop of 67 px": partial(
        _face, PixelFormat.BGR, (120, 120), 67, scale=1.0, degrees=9, at=(0.5, 0.5)
    ),
    "NV12 crop of 129 px": partial(
        _face, PixelFormat.NV12, (180, 200), 129, scale=0.9, degrees=9, at=(0.5, 0.5)
    ),
    "frame of 1 x 1": partial(
        _face, PixelFormat.BGR, (1, 1), 16, scale=0.2, degrees=9, at=(0.1, 0.2)
    ),
    "gray frame of 1 x 1": partial(
        _face, PixelFormat.GRAY, (1, 1), 16, scale=0.2, degrees=9, at=(0.1, 0.2)
    ),
    "frame of 3 x 1": partial(
        _face, PixelFormat.RGB, (1, 3), 16, scale=0.2, degrees=9, at=(0.3, 0.2)
    ),
    "odd gray frame": partial(
        _face, PixelFormat.GRAY, (41, 37), 33, scale=1.3, degrees=70, at=(0.5, 0.5)
    ),
    "padded rows": partial(_viewed, lambda a: a[:, :40], PixelFormat.BGR, (30, 47, 3)),
    "view of a larger array": partial(
        _viewed, lambda a: a[7:37, 5:45], PixelFormat.RGB, (50, 60, 3)
    ),
    "rows upside down": partial(_viewed, lambda a: a[::-1], PixelFormat.BGR, (30, 40, 3)),
    "every second row": partial(_viewed, lambda a: a[::2], PixelFormat.BGR, (60, 40, 3)),
    "every second pixel": partial(_viewed, lambda a: a[:, ::2], PixelFormat.BGR, (30, 80, 3)),
    "channels reversed": partial(_viewed, lambda a: a[..., ::-1], PixelFormat.RGB, (30, 40, 3)),
    "padded gray rows": partial(_viewed, lambda a: a[:, 3:43], PixelFormat.GRAY, (30, 50)),
    "padded NV12 rows": partial(_viewed, lambda a: a[:, :40], PixelFormat.NV12, (45, 64)),
    "padded I420 rows": partial(_i420_viewed, lambda a: a[:, :-7]),
    "I420 rows upside down": partial(_i420_viewed, lambda a: a[::-1]),
    "every second I420 pixel": partial(_i420_viewed, lambda a: a[:, ::2]),
    "I420 crop of 129 px": partial(
        _face, PixelFormat.I420, (181, 203), 129, scale=0.9, degrees=9, at=(0.5, 0.5)
    ),
    "odd I420 frame": partial(
        _face, PixelFormat.I420, (41, 37), 33, scale=1.3, degrees=70, at=(0.5, 0.5)
    ),
    "odd I420 frame, minified 6": partial(
        _face, PixelFormat.I420, (331, 347), 45, scale=6.0, degrees=4, at=(0.7, 0.8)
    ),
    "I420 frame of 1 x 1": partial(
        _face, PixelFormat.I420, (1, 1), 16, scale=0.2, degrees=9, at=(0.1, 0.2)
    ),
    **{f"{color.name} I420": partial(_colored, color, PixelFormat.I420) for color in YuvColor},
    **{f"{color.name} NV12": partial(_colored, color, PixelFormat.NV12) for color in YuvColor},
}
_CROPS += [KernelCase("crop_face", name, make) for name, make in _CROP_EXTRAS.items()]


def _images(*shape: int) -> dict[str, Any]:
    return {"pixels": textured((*shape, 3)), "mean": MEAN, "std": STD}


def graph_weights(
    width: int = 64, layers: int = 2, seed: int = 0, *, hidden: int | None = None
) -> GcnWeights:
    """Return random weights; rows of the adjacency sum to 1."""
    random = np.random.default_rng(seed)
    widths = [width, *[hidden or width] * layers]
    adjacency = random.random((12, 12))
    matrices = [random.standard_normal((a, b)) / np.sqrt(a) for a, b in pairwise(widths)]
    return GcnWeights(
        adjacency=(adjacency / adjacency.sum(axis=1, keepdims=True)).astype(np.float32),
        layer_weights=tuple(matrix.astype(np.float32) for matrix in matrices),
        layer_biases=tuple(
            (0.1 * random.standard_normal(b)).astype(np.float32) for b in widths[1:]
        ),
        readout_weight=random.standard_normal((12, widths[-1])).astype(np.float32),
        readout_bias=random.standard_normal(12).astype(np.float32),
    )


def _graph(count: int, width: int, layers: int, hidden: int | None = None) -> dict[str, Any]:
    nodes = np.random.default_rng(1).standard_normal((count, 12, width)).astype(np.float32)
    return {"nodes": nodes, "weights": graph_weights(width, layers, hidden=hidden)}


_NORMALIZED = {
    "one image": partial(_images, 1, 112, 112),
    "no image": partial(_images, 0, 9, 9),
    "no row": partial(_images, 2, 0, 9),
    "eight odd images": partial(_images, 8, 7, 13),
    "one pixel": partial(_images, 1, 1, 1),
}
_GRAPHS = {
    "one face": partial(_graph, 1, 64, 2),
    "no face": partial(_graph, 0, 64, 2),
    "eight faces": partial(_graph, 8, 64, 2),
    "odd widths": partial(_graph, 3, 37, 3, 21),
    "growing": partial(_graph, 2, 8, 1, 100),
    "no layer": partial(_graph, 2, 19, 0),
    "widest": partial(_graph, 1, 512, 1),
}
# Sums of 512 products in another order differ by more than 1e-5 where they cancel.
_GRAPH_TOLERANCE = 5e-5

CASES: list[KernelCase] = [
    *_CROPS,
    *(KernelCase("normalize", name, make) for name, make in _NORMALIZED.items()),
    *(KernelCase("au_gcn", name, make, _GRAPH_TOLERANCE) for name, make in _GRAPHS.items()),
]


def timed_crop(
    size_px: int, scale: float, pixel_format: PixelFormat = PixelFormat.BGR
) -> KernelCase:
    """Return a rotated face in the middle of a 640x360 frame, with the scale of a 112 px crop."""
    step = scale * 112 / size_px
    make = partial(_face, pixel_format, (360, 640), size_px, scale=step, degrees=15, at=(0.5, 0.5))
    return KernelCase(
        "crop_face", f"{pixel_format.value} {size_px} px, face of scale {scale}", make
    )


TIMED_CROPS: list[KernelCase] = [
    timed_crop(size, scale) for size in (112, 224) for scale in (1.0, 1.4, 2.3)
]
TIMED_GRAPH: KernelCase = next(case for case in CASES if str(case) == "au_gcn: one face")

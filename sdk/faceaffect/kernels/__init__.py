"""The kernels: native where built, else their NumPy definition (`reference`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels import reference
from faceaffect.kernels.gcn_weights import GraphWeights
from faceaffect.kernels.native import KernelInfo, info, native
from faceaffect.types import FloatArray, Frame

__all__ = ["GraphWeights", "KernelInfo", "au_graph", "crop_face", "info", "normalise"]

if native is not None:
    _crop_face, _normalise, _au_graph = native.crop_face, native.normalise, native.au_graph


def crop_face(
    frame: Frame,
    crop_to_frame: FloatArray,
    *,
    size_px: int,
    mean: Sequence[float],
    std: Sequence[float],
    out: FloatArray | None = None,
) -> FloatArray:
    """Cut faces out of a frame: float32 [N, 3, size_px, size_px], RGB, (value / 255 - mean) / std.

    `crop_to_frame` [N, 2, 3] takes crop pixels (x, y, 1) to frame pixels, whole coordinates at pixel centres. Sampling
    is bilinear, black outside the frame; where a map steps more than 2 pixels the frame is first halved until it does not
    (block means; from a quarter of the size on, the middle two of each four rows stand for all four). Rows may be padded or
    reversed; pixels that are not adjacent in memory are copied once. `out` is filled and returned when given.
    """
    if native is None:
        return reference.crop_face(frame, crop_to_frame, size_px=size_px, mean=mean, std=std, out=out)
    crops: FloatArray = _crop_face(frame.pixels, frame.layout, crop_to_frame, size_px, mean, std, out)
    return crops


def normalise(
    pixels: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float], out: FloatArray | None = None
) -> FloatArray:
    """(pixel / 255 - mean) / std: uint8 [N, H, W, 3] to float32 [N, 3, H, W]; `out` is filled when given."""
    if native is None:
        return reference.normalise(pixels, mean, std, out)
    planes: FloatArray = _normalise(pixels, mean, std, out)
    return planes


def au_graph(nodes: FloatArray, weights: GraphWeights, out: FloatArray | None = None) -> FloatArray:
    """Action unit logits [N, 12] of node features [N, 12, D]; `out` is filled when given."""
    if native is None:
        return reference.au_graph(nodes, weights, out)
    logits: FloatArray = _au_graph(nodes, weights.packed, out)
    return logits

"""The kernels: native where built, else their NumPy definition (`reference`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels import reference
from faceaffect.kernels.gcn_weights import GcnWeights
from faceaffect.kernels.native import KernelInfo, info, native
from faceaffect.types import FloatArray, Frame

__all__ = ["GcnWeights", "KernelInfo", "au_gcn", "crop_face", "info", "normalize"]

if native is not None:
    _crop_face, _normalize, _au_gcn = native.crop_face, native.normalize, native.au_gcn


def crop_face(
    frame: Frame,
    estimate_crop_to_frame: FloatArray,
    *,
    size_px: int,
    mean: Sequence[float],
    std: Sequence[float],
    out: FloatArray | None = None,
) -> FloatArray:
    """Cut faces out of a frame: float32 [N, 3, size_px, size_px], RGB, (value / 255 - mean) / std.

    `estimate_crop_to_frame` [N, 2, 3] takes crop pixels (x, y, 1) to frame pixels, whole
    coordinates at pixel centers. Sampling is bilinear, black outside the frame; where a map
    steps more than 2 pixels the frame is first halved until it does not (block means; from a
    quarter of the size on, the middle two of each four rows stand for all four). Rows may be
    padded or reversed; pixels that are not adjacent in memory are copied once. `out` is filled
    and returned when given.
    """
    if native is None:
        return reference.crop_face(
            frame, estimate_crop_to_frame, size_px=size_px, mean=mean, std=std, out=out
        )
    crops: FloatArray = _crop_face(
        frame.pixels, frame.layout, estimate_crop_to_frame, size_px, mean, std, out
    )
    return crops


def normalize(
    pixels: NDArray[np.uint8],
    mean: Sequence[float],
    std: Sequence[float],
    out: FloatArray | None = None,
) -> FloatArray:
    """(pixel / 255 - mean) / std: uint8 [N, H, W, 3] to float32 [N, 3, H, W]; `out` is filled when
    given.
    """
    if native is None:
        return reference.normalize(pixels, mean, std, out)
    planes: FloatArray = _normalize(pixels, mean, std, out)
    return planes


def au_gcn(nodes: FloatArray, weights: GcnWeights, out: FloatArray | None = None) -> FloatArray:
    """Action unit logits [N, 12] of node features [N, 12, D]; `out` is filled when given."""
    if native is None:
        return reference.au_gcn(nodes, weights, out)
    logits: FloatArray = _au_gcn(nodes, weights.packed, out)
    return logits

"""Image kernels and per-face operations: native where built, else their NumPy definitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels import reference
from faceaffect.kernels.gcn_weights import GcnWeights
from faceaffect.kernels.native import KernelInfo, build_info, native
from faceaffect.types import FloatArray, Frame

__all__ = ["GcnWeights", "KernelInfo", "au_gcn", "build_info", "crop_face", "normalize"]


def crop_face(
    frame: Frame,
    crop_to_frame: FloatArray,
    *,
    size_px: int,
    mean: Sequence[float],
    std: Sequence[float],
    out: FloatArray | None = None,
) -> FloatArray:
    """Crop faces out of a frame and normalize them.

    Sampling is bilinear, black outside the frame. Where a transform steps more than 2 pixels the
    frame is first halved until it does not (block means; from a quarter of the size on, the middle
    two of each four rows stand for all four). Rows may be padded or reversed; pixels that are not
    adjacent in memory are copied once.

    Args:
        frame: Source of the pixels, in any pixel format.
        crop_to_frame: Affine transforms [N, 2, 3] from crop pixels (x, y, 1) to frame pixels, with
            integer coordinates at pixel centers.
        size_px: Side S of the crops.
        mean: Of each RGB channel, for pixels of 0 to 1.
        std: Of each RGB channel.
        out: Array to fill and return, float32 [N, 3, S, S]; by default a new one.

    Returns:
        Crops, float32 [N, 3, S, S], RGB: (value / 255 - mean) / std.

    Raises:
        ValueError: An argument has the wrong type, shape or value.
    """
    if native is None:
        return reference.crop_face(
            frame, crop_to_frame, size_px=size_px, mean=mean, std=std, out=out
        )
    crops: FloatArray = native.crop_face(
        frame.planes,
        frame.pixel_format,
        crop_to_frame,
        size_px,
        mean,
        std,
        out,
        frame.color.coefficients,
    )
    return crops


def normalize(
    pixels: NDArray[np.uint8],
    mean: Sequence[float],
    std: Sequence[float],
    out: FloatArray | None = None,
) -> FloatArray:
    """Normalize images, (pixel / 255 - mean) / std: uint8 [N, H, W, 3] to float32 [N, 3, H, W].

    `out` is filled and returned where given.
    """
    if native is None:
        return reference.normalize(pixels, mean, std, out)
    planes: FloatArray = native.normalize(pixels, mean, std, out)
    return planes


def au_gcn(nodes: FloatArray, weights: GcnWeights, out: FloatArray | None = None) -> FloatArray:
    """Action unit logits [N, 12] of node features [N, 12, D]; `out` is filled where given."""
    if native is None:
        return reference.au_gcn(nodes, weights, out)
    logits: FloatArray = native.au_gcn(nodes, weights.packed, out)
    return logits

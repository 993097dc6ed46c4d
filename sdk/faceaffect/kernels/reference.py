"""NumPy definitions of the image kernels, and their fallback; csrc/<op>.h has the same in C++."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.arguments import check_normalize, check_out, check_size_px, check_transforms
from faceaffect.kernels.gcn_weights import NODES, GcnWeights
from faceaffect.types import FloatArray, Frame, PixelFormat, YuvColor

MAX_LEVEL: Final[int] = 4
"""How often a frame is halved at most; no aliasing up to a scale of 2 ** (MAX_LEVEL + 1)."""

Bytes = NDArray[np.uint8]
_F = np.float32


def crop_face(
    frame: Frame,
    crop_to_frame: FloatArray,
    *,
    size_px: int,
    mean: Sequence[float],
    std: Sequence[float],
    out: FloatArray | None = None,
) -> FloatArray:
    """Crop faces [N, 3, S, S], RGB: (sample / 255 - mean) / std.

    `sample` is bilinear at crop_to_frame . (x, y, 1). See csrc/crop_face.h for every detail:
    positions, halving when minifying, black outside, NV12 and I420.
    """
    transforms = check_transforms(crop_to_frame)
    size = check_size_px(size_px)
    mean_rgb, std_rgb = check_normalize(mean, std)
    result = check_out(out, (len(transforms), 3, size, size))
    for face, transform in enumerate(transforms):
        level = level_of(transform)
        x, y = _positions(_transform_at_level(transform, level), size)
        planes = [halve(plane, level) for plane in split_planes(frame)]
        rgb = _sample_rgb(frame.pixel_format, frame.color, planes, x, y)
        result[face] = (rgb / _F(255) - mean_rgb) / std_rgb
    return result


def normalize(
    pixels: Bytes, mean: Sequence[float], std: Sequence[float], out: FloatArray | None = None
) -> FloatArray:
    """Normalize uint8 [N, H, W, 3] to [N, 3, H, W]: (pixel / 255 - mean) / std."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
        raise ValueError(f"pixels must be uint8 [N, H, W, 3], got {pixels.dtype} {pixels.shape}")
    mean_rgb, std_rgb = check_normalize(mean, std)
    count, height, width, _ = pixels.shape
    result = check_out(out, (count, 3, height, width))
    result[...] = (pixels.transpose(0, 3, 1, 2).astype(np.float32) / _F(255) - mean_rgb) / std_rgb
    return result


def au_gcn(nodes: FloatArray, weights: GcnWeights, out: FloatArray | None = None) -> FloatArray:
    """Logits [N, 12] of nodes [N, 12, D]: layers H = relu(A H W + b), then H[k] . R[k] + c[k]."""
    hidden = np.asarray(nodes, np.float32)
    if hidden.ndim != 3 or hidden.shape[1:] != (NODES, weights.width):
        raise ValueError(
            f"nodes must be float32 [N, 12, {weights.width}], got {hidden.dtype} {hidden.shape}"
        )
    result = check_out(out, (len(hidden), NODES))
    for weight, bias in zip(weights.layer_weights, weights.layer_biases, strict=True):
        hidden = np.maximum(weights.adjacency @ hidden @ weight + bias, _F(0))
    result[...] = (hidden * weights.readout_weight).sum(axis=2) + weights.readout_bias
    return result


def level_of(transform: FloatArray) -> int:
    """Number of halvings of the frame after which a crop pixel steps at most 2 pixels."""
    squares = transform[:, :2] * transform[:, :2]
    step2 = (squares[0] + squares[1]).max()
    level = 0
    limit = _F(4)
    while level < MAX_LEVEL and step2 > limit:
        level += 1
        limit *= _F(4)
    return level


def halve(plane: Bytes, level: int) -> Bytes:
    """Downsample a plane [H, W, C] by means of blocks of 2 ** level pixels a side, rounded half up.

    The edge is repeated to fill the last blocks. From level 2 on only the middle two of each four
    rows are averaged.
    """
    side = 1 << level
    height, width, channels = plane.shape
    padded = np.pad(plane, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side, channels)
    if level >= 2:
        blocks = blocks[:, [row for row in range(side) if row % 4 in (1, 2)]]
    sums = blocks.sum(axis=(1, 3), dtype=np.int32)
    pixels = side * blocks.shape[1]
    return np.asarray((sums + pixels // 2) // pixels, np.uint8)


def split_planes(frame: Frame) -> list[Bytes]:
    """Split a frame into planes [H, W, C]: one; luma and (U, V) for NV12; Y, U, V for I420."""
    pixels = frame.pixels
    if frame.chroma is not None:
        return [plane[:, :, None] for plane in (pixels, *frame.chroma)]
    if frame.pixel_format is PixelFormat.GRAY:
        return [pixels[:, :, None]]
    if frame.pixel_format is not PixelFormat.NV12:
        return [pixels]
    height = frame.height_px
    return [pixels[:height, :, None], pixels[height:].reshape(height // 2, frame.width_px // 2, 2)]


def _transform_at_level(transform: FloatArray, level: int) -> FloatArray:
    shrink = _F(1 / (1 << level))
    at_level = transform * shrink
    at_level[:, 2] += _F(0.5) * shrink - _F(0.5)
    return np.asarray(at_level, _F)


def _positions(transform: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Frame x and y [S, S] of every crop pixel, in the defined order of operations."""
    x = np.arange(size, dtype=np.float32)[None, :]
    y = np.arange(size, dtype=np.float32)[:, None]
    frame_x, frame_y = ((row[0] * x + row[1] * y) + row[2] for row in transform)
    return frame_x, frame_y


def _bilinear(plane: Bytes, x: FloatArray, y: FloatArray) -> FloatArray:
    """Sample a plane [H, W, C] at positions x, y [S, S] clamped to the frame -> [C, S, S]."""
    last_y, last_x = plane.shape[0] - 1, plane.shape[1] - 1
    in_x, in_y = np.clip(x, _F(0), _F(last_x)), np.clip(y, _F(0), _F(last_y))
    x0, y0 = in_x.astype(np.int64), in_y.astype(np.int64)
    x1, y1 = np.minimum(x0 + 1, last_x), np.minimum(y0 + 1, last_y)
    x_weight = (in_x - x0.astype(np.float32))[..., None]
    y_weight = (in_y - y0.astype(np.float32))[..., None]
    corners = (plane[y0, x0], plane[y0, x1], plane[y1, x0], plane[y1, x1])
    top_left, top_right, low_left, low_right = (corner.astype(np.float32) for corner in corners)
    top = top_left + x_weight * (top_right - top_left)
    low = low_left + x_weight * (low_right - low_left)
    return np.asarray((top + y_weight * (low - top)).transpose(2, 0, 1), np.float32)


def _coverage(position: FloatArray, size: int) -> FloatArray:
    """Fraction of the 1 px wide tent around a position that is inside [0, size)."""
    return np.asarray(np.clip(np.minimum(position + _F(1), _F(size) - position), _F(0), _F(1)), _F)


def _sample_rgb(
    pixel_format: PixelFormat, color: YuvColor, planes: list[Bytes], x: FloatArray, y: FloatArray
) -> FloatArray:
    """Sample RGB [3, S, S] in 0..255 at positions x, y [S, S], black outside the frame."""
    height, width, _ = planes[0].shape
    values = _bilinear(planes[0], x, y)
    if pixel_format is PixelFormat.BGR:
        values = values[::-1]
    elif pixel_format is PixelFormat.GRAY:
        values = values.repeat(3, axis=0)
    elif pixel_format.is_yuv:
        at = (x * _F(0.5) - _F(0.25), y * _F(0.5) - _F(0.25))
        u, v = (channel for plane in planes[1:] for channel in _bilinear(plane, *at))
        values = rgb_from_yuv(values[0], u, v, color)
    return _coverage(x, width) * _coverage(y, height) * values


def rgb_from_yuv(luma: FloatArray, u: FloatArray, v: FloatArray, color: YuvColor) -> FloatArray:
    """Convert YUV to RGB [3, ...] clamped to 0..255."""
    offset, scale, v_to_red, u_to_green, v_to_green, u_to_blue = map(_F, color.coefficients)
    gray, blue, red = scale * (luma - offset), u - _F(128), v - _F(128)
    green = gray + u_to_green * blue + v_to_green * red
    rgb = np.stack([gray + v_to_red * red, green, gray + u_to_blue * blue])
    return np.asarray(np.clip(rgb, _F(0), _F(255)), _F)

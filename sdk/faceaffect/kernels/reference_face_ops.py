"""NumPy definitions of the small per-face operations, and the fallback of `face_ops`."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.activations import sigmoid, softmax
from faceaffect.types import BoolArray, FloatArray, Frame

_CELLS: Final[int] = 14
_GRID: Final[int] = _CELLS - 2  # the outermost cells are mostly background
# A matrix product is the fastest mean.
_MEAN: Final[FloatArray] = np.full((_GRID * _GRID, 1), 1 / _GRID**2, np.float32)
_MIN_NORM: Final = np.float32(1e-3)  # keeps the rounding errors of a flat crop small


def transform_points(transforms: FloatArray, points_xy: FloatArray) -> FloatArray:
    """Apply transforms [N, 2, 3] to points [N, L, 2]; N = 1 broadcasts on either side."""
    rotated = points_xy @ transforms[:, :, :2].transpose(0, 2, 1)
    moved: FloatArray = rotated + transforms[:, None, :, 2]
    return moved


def place_face(
    landmarks_xy: FloatArray, keypoint_weights: FloatArray, solution: NDArray[np.float64]
) -> tuple[FloatArray, FloatArray, float, bool]:
    """Crop transform, box, eye distance and finiteness of one face; see `face_ops.FaceAligner`."""
    keypoints_xy = keypoint_weights @ landmarks_xy
    entries = keypoints_xy.astype(np.float64).reshape(1, -1) @ solution
    return (
        entries.astype(np.float32).reshape(2, 3),
        box_from_landmarks(landmarks_xy[None])[0],
        math.dist(keypoints_xy[0].tolist(), keypoints_xy[1].tolist()),
        math.isfinite(float(landmarks_xy.sum())),
    )


def box_from_landmarks(landmarks_xy: FloatArray) -> FloatArray:
    """Boxes [N, 4] (x1, y1, x2, y2) around landmarks [N, 68, 2], extended up to the forehead.

    The landmarks end at the brows; a forehead is about a third of the height from brows to chin.
    """
    boxes = np.empty((len(landmarks_xy), 4), np.float32)
    np.minimum.reduce(landmarks_xy, axis=1, out=boxes[:, :2])
    np.maximum.reduce(landmarks_xy, axis=1, out=boxes[:, 2:])
    boxes[:, 1] -= np.float32(0.3) * (boxes[:, 3] - boxes[:, 1])
    return boxes


def is_plausible_motion(
    next_crop: FloatArray,
    crop_to_frame: FloatArray,
    center_px: float,
    width_px: int,
    height_px: int,
) -> bool:
    """Whether `next_crop` is centered in the frame and of about the size of `crop_to_frame`."""
    (a, b, x), (c, d, y) = next_crop.tolist()
    x, y = x + center_px * (a + b), y + center_px * (c + d)
    if not (0 <= x < width_px and 0 <= y < height_px):
        return False
    scale = math.hypot(float(crop_to_frame[0, 0]), float(crop_to_frame[1, 0]))
    return 0.5 < math.hypot(a, c) / max(scale, 1e-6) < 2.0


def pose_in_frame(pose_deg: FloatArray, crop_to_frame: FloatArray) -> FloatArray:
    """Poses [N, 3] (yaw, pitch, roll) in crops [N, 2, 3] as poses in the frame."""
    in_frame: FloatArray = pose_deg.copy()
    for row, (cosine, sine) in enumerate(crop_to_frame[:, :, 0].tolist()):
        roll_deg = float(pose_deg[row, 2]) + math.degrees(math.atan2(sine, cosine))
        in_frame[row, 2] = (roll_deg + 180) % 360 - 180
    return in_frame


def sample_grid(crops: FloatArray) -> FloatArray:
    """Sum four pixels per cell of a 12 x 12 grid: [N, 3, 12, 12] of crops [N, 3, S, S], S >= 28.

    Four pixels stand for a cell: slices are far cheaper than a mean over all of it.
    """
    size_px = crops.shape[3]
    cell = size_px // _CELLS
    first = (size_px - cell * _CELLS) // 2 + cell
    inner = crops[:, :, first : first + cell * _GRID, first : first + cell * _GRID]
    near, far = cell // 4, cell - 1 - cell // 4
    grid = inner[:, :, near::cell, near::cell] + inner[:, :, near::cell, far::cell]
    return np.asarray(
        grid + inner[:, :, far::cell, far::cell] + inner[:, :, far::cell, near::cell], np.float32
    )


def descriptors_from_grid(grid: FloatArray, mean_face: FloatArray) -> FloatArray:
    """Unit-length descriptors [N, 432] of grids [N, 3, 12, 12] without `mean_face` [432]."""
    channels = grid.reshape(-1, 3, _GRID * _GRID)
    rows = (channels - channels @ _MEAN).reshape(-1, 3 * _GRID * _GRID)
    _normalize_rows(rows)
    rows -= mean_face
    _normalize_rows(rows)
    return rows


def _normalize_rows(rows: FloatArray) -> None:
    length = np.sqrt(np.einsum("np,np->n", rows, rows))
    rows /= np.maximum(length, _MIN_NORM, out=length)[:, None]


def one_euro(
    points_xy: FloatArray,
    previous_xy: FloatArray,
    speed_x: float,
    speed_y: float,
    scale_px: float,
    step_s: float,
    min_cutoff_hz: float,
    beta: float,
    derivative_cutoff_hz: float,
) -> tuple[FloatArray, float, float]:
    """Filter points [L, 2] by one step; returns them and the filtered speed of their mean."""
    move = points_xy - previous_xy
    x, y = np.add.reduce(move, axis=0).tolist()
    unit = len(move) * max(scale_px, 1e-3) * step_s
    alpha = _low_pass_alpha(derivative_cutoff_hz, step_s)
    speed_x += alpha * (x / unit - speed_x)
    speed_y += alpha * (y / unit - speed_y)
    cutoff_hz = min_cutoff_hz + beta * math.hypot(speed_x, speed_y)
    filtered = previous_xy + np.float32(_low_pass_alpha(cutoff_hz, step_s)) * move
    return filtered, speed_x, speed_y


def _low_pass_alpha(cutoff_hz: float, step_s: float) -> float:
    """Weight of the newest value in a first-order low-pass filter."""
    rate = 2 * math.pi * cutoff_hz * step_s
    return rate / (rate + 1)


def decode_scores(
    au_logit: FloatArray, expression_logit: FloatArray, va: FloatArray, is_raw: bool
) -> FloatArray:
    """Scores [N, 21]; see `face_ops.decode_scores`."""
    values = np.tanh(va) if is_raw else np.clip(va, -1, 1)
    return np.concatenate(
        [sigmoid(au_logit), softmax(expression_logit), values], axis=1, dtype=np.float32
    )


def smooth_scores(
    scores: FloatArray,
    mean: FloatArray,
    is_active: BoolArray,
    is_first: bool,
    alpha: float,
    va_alpha: float,
    jump: float,
    low: FloatArray,
    threshold: FloatArray,
    high: FloatArray,
) -> None:
    """Update `mean`, `scores` and `is_active` in place; see `face_ops.smooth_scores`."""
    if not is_first:
        change = scores[:-2] - mean[:-2]
        size = np.minimum(np.float32(1), np.abs(change) / np.float32(jump))
        mean[:-2] += (np.float32(alpha) + np.float32(1 - alpha) * (size * size)) * change
        mean[-2:] += np.float32(va_alpha) * (scores[-2:] - mean[-2:])
    scores[:] = mean
    limit = threshold if is_first else np.where(is_active, low, high)
    is_active[:] = scores[: len(limit)] >= limit


def shot_change(
    frame: Frame, row_step: int, column_step: int, previous: FloatArray | None
) -> tuple[FloatArray, float | None]:
    """Sample a grid of gray levels and its mean absolute change; see `face_ops.shot_change`."""
    rows = slice(row_step // 2, frame.height_px, row_step)
    columns = slice(column_step // 2, frame.width_px, column_step)
    # Green alone stands for gray in color frames, luma in YUV frames.
    pixels = frame.pixels[:, :, 1] if frame.pixel_format.is_color else frame.pixels
    samples = pixels[rows, columns]
    grid = samples.astype(np.float32)
    if previous is None or previous.shape != grid.shape:
        return grid, None
    return grid, float(np.abs(previous - grid).mean(dtype=np.float64))

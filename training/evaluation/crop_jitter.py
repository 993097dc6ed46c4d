"""Perturbs aligned crop transforms with a fixed seed: tracking errors, and crops off the face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceaffect.geometry import TEMPLATE_SIZE_PX, estimate_crop_to_frame, keypoints_from_landmarks
from faceaffect.types import FloatArray
from training.datasets.face_table import FaceTable


def aligned_transforms(table: FaceTable) -> FloatArray:
    """Returns the crop-to-image transforms [N, 2, 3] of a table's landmarks."""
    return estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy))


def moved_transforms(
    transforms: FloatArray,
    turn_rad: NDArray[np.floating],
    scale: NDArray[np.floating],
    shift_px: NDArray[np.floating],
) -> FloatArray:
    """Rotates [N], scales [N] and shifts [N, 2] transforms [N, 2, 3] about the crop center."""
    cos = scale * np.cos(turn_rad)
    sin = scale * np.sin(turn_rad)
    linear = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    center = np.full(2, (TEMPLATE_SIZE_PX - 1) / 2)
    offset = center + shift_px - linear @ center
    rotated = transforms[:, :, :2] @ linear
    return np.concatenate(
        [rotated, (transforms[:, :, :2] @ offset[:, :, None]) + transforms[:, :, 2:]], axis=2
    ).astype(np.float32)


def tracking_transforms(
    transforms: FloatArray, seed: int, shift: float = 0.05, scale: float = 0.08, turn_deg: float = 8
) -> FloatArray:
    """Perturbs aligned transforms [N, 2, 3] like tracking errors, uniformly within bounds."""
    random = np.random.default_rng(seed)
    count = len(transforms)
    turn = np.radians(random.uniform(-turn_deg, turn_deg, count))
    factor = np.exp(random.uniform(-scale, scale, count))
    return moved_transforms(
        transforms, turn, factor, random.uniform(-shift, shift, (count, 2)) * TEMPLATE_SIZE_PX
    )


def background_transforms(transforms: FloatArray, seed: int) -> FloatArray:
    """Returns transforms [N, 2, 3] off the face: beside it, too close, too far, upside down."""
    random = np.random.default_rng(seed)
    count = len(transforms)
    kind = np.arange(count) % 4
    angle = random.uniform(0, 2 * np.pi, count)
    distance = np.where(kind == 0, random.uniform(0.7, 1.1, count), 0.05) * TEMPLATE_SIZE_PX
    scale = np.select(
        [kind == 1, kind == 2],
        [random.uniform(0.15, 0.35, count), random.uniform(2.4, 3.5, count)],
        1.0,
    )
    turn = np.where(kind == 3, random.uniform(2.4, 3.9, count), 0.0)
    return moved_transforms(
        transforms,
        turn,
        scale,
        distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1),
    )

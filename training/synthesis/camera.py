"""Head pose and a perspective camera, zoomed and shifted to the aligned face crop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks, transform_scale
from training.synthesis.head_mesh import FloatArray

PIVOT = np.array([0.0, 7.0, 0.55], np.float32)
"""Center of head rotation in decimeters."""

CROP_EXTENT = 1.6
"""Ratio of the image width to the width of the aligned crop inside it."""

CROP_CENTER_PX = 55.5  # of a 112 px crop


@dataclass(frozen=True, slots=True)
class CameraView:
    """Transforms from head coordinates to the image."""

    head_to_camera: FloatArray  # [3, 3]
    head_to_clip: FloatArray  # [4, 4], OpenGL clip space
    view_offset: FloatArray  # [3] camera position minus head origin, camera axes, decimeters
    size_px: int

    def project(self, points: FloatArray) -> FloatArray:
        """Projects head points [L, 3] to pixels [L, 2]; (0, 0) is the center of the first pixel."""
        homogeneous = np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)
        clip = homogeneous @ self.head_to_clip.T
        ndc = clip[:, :2] / clip[:, 3:4]
        pixels = (ndc * np.array([0.5, -0.5]) + 0.5) * self.size_px - 0.5
        return np.asarray(pixels, np.float32)


def pose_rotation(pose_deg: FloatArray) -> FloatArray:
    """Returns the rotation [3, 3] of yaw, pitch, roll (signs as in `types.Faces`).

    Pitch is applied first, then yaw, then roll.
    """
    yaw, pitch, roll = np.radians(np.asarray(pose_deg, np.float64))
    yaw_rotation = np.array(
        [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    )
    pitch_rotation = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    roll_rotation = np.array(
        [[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    return np.asarray(roll_rotation @ yaw_rotation @ pitch_rotation, np.float32)


def _perspective(fov_deg: float, near: float, far: float) -> FloatArray:
    f = 1.0 / np.tan(np.radians(fov_deg) / 2)
    depth = near - far
    rows = [
        [f, 0, 0, 0],
        [0, f, 0, 0],
        [0, 0, (far + near) / depth, 2 * far * near / depth],
        [0, 0, -1, 0],
    ]
    return np.array(rows, np.float32)


def look_at_head(pose_deg: FloatArray, fov_deg: float, size_px: int) -> CameraView:
    """Returns a camera in front of the head that shows the whole head."""
    rotation = pose_rotation(pose_deg)
    distance = 1.9 / np.tan(np.radians(fov_deg) / 2)
    view = np.eye(4, dtype=np.float32)
    view[:3, :3] = rotation
    view[:3, 3] = -rotation @ PIVOT - np.array([0, 0, distance], np.float32)
    clip = _perspective(fov_deg, max(0.1, distance - 4.0), distance + 4.0) @ view
    return CameraView(rotation, clip, -view[:3, 3], size_px)


def zoom_to_face(
    view: CameraView, landmarks: FloatArray, shift_fraction: FloatArray, zoom: float
) -> CameraView:
    """Zooms so that the aligned crop fills 1 / 1.6 of the image width, times `zoom`.

    The image is not rotated, so head roll stays visible.

    Args:
        view: Camera to modify.
        landmarks: Landmarks [68, 3] of the head.
        shift_fraction: Offset [2] of the crop center, right and down, as a fraction of the image.
        zoom: Additional scale factor.
    """
    keypoints = keypoints_from_landmarks(view.project(landmarks))
    crop_to_frame = estimate_crop_to_frame(keypoints[None])
    center = (
        crop_to_frame[0, :, :2] @ np.array([CROP_CENTER_PX, CROP_CENTER_PX])
        + crop_to_frame[0, :, 2]
    )
    factor = zoom * view.size_px / (CROP_EXTENT * 112 * float(transform_scale(crop_to_frame)[0]))
    ndc = (center + 0.5) / view.size_px * np.array([2, -2]) + np.array([-1, 1])
    fit = np.eye(4, dtype=np.float32)
    fit[0, 0] = fit[1, 1] = factor
    fit[:2, 3] = -factor * ndc + np.asarray(shift_fraction) * np.array([2, -2])
    return replace(view, head_to_clip=(fit @ view.head_to_clip).astype(np.float32))

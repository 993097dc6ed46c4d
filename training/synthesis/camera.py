"""Head pose and a perspective camera whose image is shifted and scaled so that the face lies as the
crop wants it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceaffect.geometry import estimate_crop_to_frame, keypoints_from_landmarks, transform_scale
from training.synthesis.head_mesh import FloatArray

PIVOT = np.array([0.0, 7.0, 0.55], np.float32)
"""What the head turns about, decimetres."""

CROP_EXTENT = 1.6
"""Width of an image over the width of the aligned crop inside it."""

CROP_CENTER_PX = 55.5  # of a 112 px crop


@dataclass(frozen=True, slots=True)
class CameraView:
    """Maps from the head to the image."""

    head_to_camera: FloatArray  # [3, 3]
    head_to_clip: FloatArray  # [4, 4], OpenGL clip space
    view_offset: (
        FloatArray  # [3] the camera's place seen from the head's origin, camera axes, decimetres
    )
    size_px: int

    def project(self, points: FloatArray) -> FloatArray:
        """Pixels [L, 2] of head points [L, 3]; (0, 0) is the center of the first pixel."""
        clip = (
            np.concatenate([points, np.ones((len(points), 1), np.float32)], axis=1)
            @ self.head_to_clip.T
        )
        ndc = clip[:, :2] / clip[:, 3:4]
        pixels = (ndc * np.array([0.5, -0.5]) + 0.5) * self.size_px - 0.5
        return pixels.astype(np.float32)


def pose_rotation(pose_deg: FloatArray) -> FloatArray:
    """Rotation [3, 3] of yaw, pitch, roll with the signs of `types.Faces`: nod first, then turn,
    then lean.
    """
    yaw, pitch, roll = np.radians(np.asarray(pose_deg, np.float64))
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    lean = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(lean @ turn @ nod, np.float32)


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
    """A camera in front of the head that holds the whole head; `place_face` then moves the image."""
    rotation = pose_rotation(pose_deg)
    distance = 1.9 / np.tan(np.radians(fov_deg) / 2)
    view = np.eye(4, dtype=np.float32)
    view[:3, :3] = rotation
    view[:3, 3] = -rotation @ PIVOT - np.array([0, 0, distance], np.float32)
    clip = _perspective(fov_deg, max(0.1, distance - 4.0), distance + 4.0) @ view
    return CameraView(rotation, clip, -view[:3, 3], size_px)


def place_face(
    view: CameraView, landmarks: FloatArray, shift_share: FloatArray, zoom: float
) -> CameraView:
    """Scale and shift the image so that the aligned crop takes 1 / 1.6 of it (times zoom), off
    center by a share [2].

    Landmarks [68, 3] are those of the head; the image is not rotated, so roll stays visible.
    """
    anchors = keypoints_from_landmarks(view.project(landmarks))
    crop_map = estimate_crop_to_frame(anchors[None])
    center = crop_map[0, :, :2] @ np.array([CROP_CENTER_PX, CROP_CENTER_PX]) + crop_map[0, :, 2]
    factor = zoom * view.size_px / (CROP_EXTENT * 112 * float(transform_scale(crop_map)[0]))
    ndc = (center + 0.5) / view.size_px * np.array([2, -2]) + np.array([-1, 1])
    fit = np.eye(4, dtype=np.float32)
    fit[0, 0] = fit[1, 1] = factor
    fit[:2, 3] = -factor * ndc + np.asarray(shift_share) * np.array([2, -2])
    return CameraView(
        view.head_to_camera,
        (fit @ view.head_to_clip).astype(np.float32),
        view.view_offset,
        view.size_px,
    )

"""Estimates head pose from the teacher's 3-D landmarks, as rotation of their mean shape."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# fmt: off
_RIGID: Final = (
    33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 1, 98, 327, 2, 10, 151, 9,
    234, 454, 127, 356, 93, 323,
)
"""Points that move little with expressions: eye corners, nose, forehead, sides of the face."""

_MIRROR: Final = (
    263, 362, 33, 133, 168, 6, 197, 195, 5, 4, 1, 327, 98, 2, 10, 151, 9,
    454, 234, 356, 127, 323, 93,
)
"""Mirror point of each of `_RIGID`."""
# fmt: on


def rotations(
    points_xyz: NDArray[np.float32], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns rotations [N, 3, 3] from the reference [R, 3] to the points [N, R, 3] (Kabsch)."""
    centered = points_xyz - points_xyz.mean(axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("nri,rj->nij", centered, reference))
    sign = np.linalg.det(u @ vt)
    u[:, :, 2] *= sign[:, None]
    return np.asarray(u @ vt)


def frontal_reference(points_xyz: NDArray[np.float32], iterations: int = 5) -> NDArray[np.float64]:
    """Returns the mean rigid shape [R, 3], symmetrized so that it is frontal by construction."""
    shapes = points_xyz - points_xyz.mean(axis=1, keepdims=True)
    shapes = shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)
    reference = np.median(shapes, axis=0).astype(np.float64)
    for _ in range(iterations):
        mirrored = reference[[_RIGID.index(i) for i in _MIRROR]] * np.array([-1.0, 1.0, 1.0])
        reference = (reference + mirrored) / 2
        rotation_matrices = rotations(shapes, reference)
        reference = np.einsum("nji,nrj->ri", rotation_matrices, shapes) / len(shapes)
        reference /= np.linalg.norm(reference)
    mirrored = reference[[_RIGID.index(i) for i in _MIRROR]] * np.array([-1.0, 1.0, 1.0])
    return np.asarray((reference + mirrored) / 2)


def angles_deg(rotation_matrices: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns yaw, pitch, roll [N, 3] in degrees of rotations Rz(roll) Ry Rx.

    Axes are those of the image: x right, y down, z away from the camera. Signs as in
    `faceaffect.types.Faces`: the face points along -z; yaw > 0 is to the right of the image,
    pitch > 0 up, roll > 0 clockwise.
    """
    roll = np.arctan2(rotation_matrices[:, 1, 0], rotation_matrices[:, 0, 0])
    forward = -rotation_matrices[:, :, 2]
    x = np.cos(roll) * forward[:, 0] + np.sin(roll) * forward[:, 1]
    y = -np.sin(roll) * forward[:, 0] + np.cos(roll) * forward[:, 1]
    yaw = np.arctan2(x, -forward[:, 2])
    pitch = np.arcsin(np.clip(-y, -1, 1))
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)), np.float32)


def rigid_points(points_xyz: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the rigid subset [N, R, 3] of the 478 points."""
    return points_xyz[:, _RIGID, :]

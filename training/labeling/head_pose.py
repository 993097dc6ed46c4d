"""Head pose out of the landmark teacher's 3-D points: a rotation to their own mean shape."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_RIGID: Final = (
    33,
    133,
    263,
    362,
    168,
    6,
    197,
    195,
    5,
    4,
    1,
    98,
    327,
    2,
    10,
    151,
    9,
    234,
    454,
    127,
    356,
    93,
    323,
)
"""Points that expressions move little: eye corners, nose, forehead, sides of the face."""

_MIRROR: Final = (
    263,
    362,
    33,
    133,
    168,
    6,
    197,
    195,
    5,
    4,
    1,
    327,
    98,
    2,
    10,
    151,
    9,
    454,
    234,
    356,
    127,
    323,
    93,
)


def rotations(
    points_xyz: NDArray[np.float32], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rotations [N, 3, 3] that take the reference [R, 3] to each face's points [N, R, 3] (Kabsch)."""
    centered = points_xyz - points_xyz.mean(axis=1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("nri,rj->nij", centered, reference))
    sign = np.linalg.det(u @ vt)
    u[:, :, 2] *= sign[:, None]
    return np.asarray(u @ vt)


def frontal_reference(points_xyz: NDArray[np.float32], rounds: int = 5) -> NDArray[np.float64]:
    """The mean rigid shape [R, 3], made symmetric, so that it looks straight ahead by construction."""
    shapes = points_xyz - points_xyz.mean(axis=1, keepdims=True)
    shapes = shapes / np.linalg.norm(shapes, axis=(1, 2), keepdims=True)
    reference = np.median(shapes, axis=0).astype(np.float64)
    for _ in range(rounds):
        mirrored = reference[[_RIGID.index(i) for i in _MIRROR]] * np.array([-1.0, 1.0, 1.0])
        reference = (reference + mirrored) / 2
        turns = rotations(shapes, reference)
        reference = np.einsum("nji,nrj->ri", turns, shapes) / len(shapes)
        reference /= np.linalg.norm(reference)
    mirrored = reference[[_RIGID.index(i) for i in _MIRROR]] * np.array([-1.0, 1.0, 1.0])
    return np.asarray((reference + mirrored) / 2)


def angles_deg(turns: NDArray[np.float64]) -> NDArray[np.float32]:
    """Yaw, pitch, roll [N, 3] of rotations Rz(roll) Ry Rx; axes of the image: x right, y down, z
    away.

    Signs as in `faceaffect.types.Faces`: the face looks along -z; yaw > 0 to the right of the
    image, pitch > 0 up, roll > 0 clockwise.
    """
    roll = np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
    look = -turns[:, :, 2]
    x = np.cos(roll) * look[:, 0] + np.sin(roll) * look[:, 1]
    y = -np.sin(roll) * look[:, 0] + np.cos(roll) * look[:, 1]
    yaw, pitch = np.arctan2(x, -look[:, 2]), np.arcsin(np.clip(-y, -1, 1))
    return np.degrees(np.stack([yaw, pitch, roll], axis=1)).astype(np.float32)


def rigid_points(points_xyz: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rigid subset [N, R, 3] of 478 points."""
    return points_xyz[:, _RIGID, :]

"""Vertices of the MakeHuman head that are the 68 landmarks.

Only the subject's left half is listed; the right half is its mirror image in the base mesh.
"""

from __future__ import annotations

import numpy as np

from training.synthesis.head_mesh import FloatArray, HeadMesh, IntArray

_JAW_LEFT_XY = (
    (0.705, 7.20),
    (0.69, 7.01),
    (0.655, 6.83),
    (0.605, 6.66),
    (0.52, 6.50),
    (0.41, 6.36),
    (0.28, 6.25),
    (0.14, 6.195),
)
"""Jaw 16 (at the ear) to 9, base mesh coordinates in decimeters."""

_BROW_LEFT_XY = ((0.085, 7.385), (0.175, 7.42), (0.275, 7.43), (0.375, 7.415), (0.46, 7.375))
"""Brow 22 (inner) to 26 (outer)."""

CHIN = 1701
_NOSE_BRIDGE = (133, 1539, 291, 297)  # 27 to 30, the tip
_NOSE_BASE = (343, 2568, 2612)  # 33 middle, 34, 35 outer
# 42 inner corner, 43, 44 upper lid, 45 outer corner, 46, 47 lower lid
_EYE_LEFT = (3287, 3282, 3264, 3271, 3277, 3279)
_LIP_UPPER_OUTER = (455, 2706, 2662, 2653)  # 51 middle, 52, 53, 54 corner
_LIP_LOWER_OUTER = (496, 2730, 2691)  # 57 middle, 56, 55
_LIP_INNER = (474, 2717, 2683, 2727, 493)  # 62 upper middle, 63, 64 corner, 65, 66 lower middle


def _nearest_front(head: HeadMesh, points_xy: tuple[tuple[float, float], ...]) -> list[int]:
    """Returns the vertices nearest to points of the front view, on the front of the head."""
    used = np.unique(head.quads)
    used = used[head.base[used, 2] > 0.3]
    distance = np.linalg.norm(head.base[used, None, :2] - np.array(points_xy, np.float32), axis=2)
    distance += 0.1 * np.maximum(0.0, 1.0 - head.base[used, 2:3])
    return [int(v) for v in used[distance.argmin(axis=0)]]


def mirror_vertices(head: HeadMesh, vertices: list[int]) -> list[int]:
    """Returns the mirror vertex in the base mesh of each of `vertices`."""
    mirrored = head.base[vertices] * np.array([-1.0, 1.0, 1.0], np.float32)
    return [int(np.linalg.norm(head.base - point, axis=1).argmin()) for point in mirrored]


def landmark_vertices(head: HeadMesh) -> IntArray:
    """Returns the vertex index of each landmark [68]."""
    jaw_left = _nearest_front(head, _JAW_LEFT_XY)  # 16 down to 9
    brow_left = _nearest_front(head, _BROW_LEFT_XY)  # 22 to 26
    eye = list(_EYE_LEFT)
    upper_middle, upper_peak, upper_side, corner = _LIP_UPPER_OUTER
    lower_middle, lower_near, lower_side = _LIP_LOWER_OUTER
    inner_top, inner_top_side, inner_corner, inner_low_side, inner_low = _LIP_INNER

    def flip(*vertices: int) -> list[int]:
        return mirror_vertices(head, list(vertices))

    indices = flip(*jaw_left) + [CHIN] + jaw_left[::-1]
    indices += flip(*brow_left)[::-1] + brow_left
    indices += [*_NOSE_BRIDGE, *flip(_NOSE_BASE[2], _NOSE_BASE[1]), *_NOSE_BASE]
    indices += flip(eye[3], eye[2], eye[1], eye[0], eye[5], eye[4]) + eye
    indices += [*flip(corner, upper_side, upper_peak), upper_middle, upper_peak, upper_side, corner]
    indices += [lower_side, lower_near, lower_middle, *flip(lower_near, lower_side)]
    indices += [*flip(inner_corner, inner_top_side), inner_top, inner_top_side, inner_corner]
    indices += [inner_low_side, inner_low, *flip(inner_low_side)]
    return np.array(indices, np.int32)


_LIP_PAIRS = ((474, 493), (2717, 2727), (2670, 2721))
"""Upper and lower vertices where closed lips touch: middle, near and far on the subject's left."""


def lip_pairs(head: HeadMesh) -> IntArray:
    """Returns upper and lower lip vertices [P, 2] that touch when the lips are closed."""
    mirrored = [tuple(mirror_vertices(head, list(pair))) for pair in _LIP_PAIRS[1:]]
    return np.array([*_LIP_PAIRS, *mirrored], np.int32)


def lip_openings(vertices: FloatArray, pairs: IntArray, landmarks: FloatArray) -> FloatArray:
    """Returns the vertical opening [P] at each lip pair relative to the interocular distance.

    Negative where the lower lip covers the upper one.

    Args:
        vertices: Head vertices [N, 3], in any unit of length.
        pairs: Upper and lower lip vertices [P, 2].
        landmarks: Landmarks [68, 3] in the same unit.
    """
    interocular = np.linalg.norm(landmarks[36:42].mean(axis=0) - landmarks[42:48].mean(axis=0))
    opening = vertices[pairs[:, 0], 1] - vertices[pairs[:, 1], 1]
    return np.asarray(opening / interocular, np.float32)

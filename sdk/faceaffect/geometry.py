"""Where a face lies and how it is cut out: the one alignment that training and runtime share.

Matrices say from-to. A map is a float32 [2, 3] that takes (x, y, 1); pixel centers have whole
coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.native import native
from faceaffect.labels import LANDMARK_COUNT
from faceaffect.types import FloatArray

TEMPLATE_SIZE_PX: Final[int] = 112

CANONICAL_KEYPOINTS_XY: Final[FloatArray] = np.array(
    [[38.5, 41.5], [73.5, 41.5], [56.0, 61.5], [41.5, 82.5], [70.5, 82.5]], np.float32
)
"""Where the anchors (right eye, left eye, nose tip, right and left mouth corner) come to lie in a
112 px crop. Eyes stand 35 px apart, high enough that the chin stays inside when the jaw drops
(AU26).
"""


AFFWILD2_EYE_OFFSET_PX: Final[float] = 10.0
"""Aligned crops of the field (112 px, eyes 35 px apart) have the eyes 10 px lower than our
template.
"""


def _anchor_weights() -> FloatArray:
    weights = np.zeros((len(CANONICAL_KEYPOINTS_XY), LANDMARK_COUNT), np.float32)
    weights[0, 36:42] = weights[1, 42:48] = 1 / 6
    weights[2, 30] = weights[3, 48] = weights[4, 54] = 1
    return weights


_ANCHOR_WEIGHTS: Final[FloatArray] = _anchor_weights()  # [5, 68]


def keypoints_from_landmarks(landmarks_xy: FloatArray) -> FloatArray:
    """Five anchors [..., 5, 2] out of 68 landmarks [..., 68, 2]: eye centers, nose tip, mouth
    corners.
    """
    anchors: FloatArray = _ANCHOR_WEIGHTS @ landmarks_xy
    return anchors


@lru_cache(maxsize=8)
def _similarity_solution(size_px: int) -> NDArray[np.float64]:
    """Matrix [10, 6] from the coordinates of five anchors to the entries of the map: the fit is
    linear in them.

    The closed form of the two-dimensional Procrustes problem without reflection: with points as
    complex numbers, minimize |a t + b - p|^2 over complex a, b (Umeyama 1991, for the plane), so
    that a = sum(conj(t_c) p) / sum |t_c|^2 with t_c = t - mean(t), and b = mean(p) - a mean(t).
    """
    template = (CANONICAL_KEYPOINTS_XY.astype(np.float64) + 0.5) * (
        size_px / TEMPLATE_SIZE_PX
    ) - 0.5
    centered = template - template.mean(axis=0)
    share = centered / (centered**2).sum()
    zero = np.zeros(len(template))
    real = np.stack([share[:, 0], share[:, 1]], axis=1).ravel()  # of a, from (x, y) of each anchor
    imaginary = np.stack([-share[:, 1], share[:, 0]], axis=1).ravel()
    mean_x, mean_y = (
        np.stack(pair, axis=1).ravel() / len(template)
        for pair in ((zero + 1, zero), (zero, zero + 1))
    )
    mid_x, mid_y = template.mean(axis=0)
    shift_x = mean_x - real * mid_x + imaginary * mid_y
    shift_y = mean_y - imaginary * mid_x - real * mid_y
    return np.stack([real, -imaginary, shift_x, imaginary, real, shift_y], axis=1)


def estimate_crop_to_frame(keypoints_xy: FloatArray, size_px: int = TEMPLATE_SIZE_PX) -> FloatArray:
    """Similarity maps [N, 2, 3] from crop pixels to frame pixels, least squares over the anchors
    [N, 5, 2].

    Degenerate anchors (all in one point) give a map of zero scale.
    """
    points = np.asarray(keypoints_xy, np.float64).reshape(-1, 2 * len(CANONICAL_KEYPOINTS_XY))
    return (points @ _similarity_solution(size_px)).astype(np.float32).reshape(-1, 2, 3)


def transform_points(maps: FloatArray, points_xy: FloatArray) -> FloatArray:
    """Points [N, L, 2] through maps [N, 2, 3]; one of either serves all of the other."""
    if native is not None and len(maps) == len(points_xy):
        mapped: FloatArray = native.transform_points(maps, points_xy)
        return mapped
    moved: FloatArray = points_xy @ maps[:, :, :2].transpose(0, 2, 1) + maps[:, None, :, 2]
    return moved


def rescale_transforms(maps: FloatArray, size_px: int) -> FloatArray:
    """Maps [N, 2, 3] of a 112 px crop as those of the same crop at `size_px`."""
    if size_px == TEMPLATE_SIZE_PX:
        return maps
    step = np.float32(TEMPLATE_SIZE_PX / size_px)
    resized: FloatArray = maps * step
    resized[:, :, 2] = maps[:, :, 2] + maps[:, :, :2].sum(axis=2) * (0.5 * step - 0.5)
    return resized


def shift_transforms_down(maps: FloatArray, offset_y_px: float) -> FloatArray:
    """Maps [N, 2, 3] of crops in which the face lies `offset_y_px` crop pixels lower."""
    if not offset_y_px:
        return maps
    lowered: FloatArray = maps.copy()
    lowered[:, :, 2] -= maps[:, :, 1] * np.float32(offset_y_px)
    return lowered


def invert_transforms(maps: FloatArray) -> FloatArray:
    """The inverse [N, 2, 3] of similarity maps [N, 2, 3]."""
    a, b = maps[:, 0, 0].astype(np.float64), maps[:, 1, 0].astype(np.float64)
    scale2 = np.maximum(a * a + b * b, 1e-20)
    inverse = np.empty_like(maps)
    inverse[:, 0, 0] = inverse[:, 1, 1] = a / scale2
    inverse[:, 0, 1], inverse[:, 1, 0] = b / scale2, -b / scale2
    inverse[:, :, 2] = -np.einsum("nij,nj->ni", inverse[:, :, :2], maps[:, :, 2])
    return inverse


def box_from_landmarks(landmarks_xy: FloatArray) -> FloatArray:
    """Boxes [N, 4] (x1, y1, x2, y2) around landmarks [N, 68, 2], raised to hold the forehead.

    The landmarks end at the brows; a forehead is about a third of the height from brows to chin.
    """
    boxes = np.empty((len(landmarks_xy), 4), np.float32)
    np.minimum.reduce(landmarks_xy, axis=1, out=boxes[:, :2])
    np.maximum.reduce(landmarks_xy, axis=1, out=boxes[:, 2:])
    boxes[:, 1] -= np.float32(0.3) * (boxes[:, 3] - boxes[:, 1])
    return boxes


@dataclass(frozen=True, slots=True, eq=False)
class FacePlacement:
    """What landmarks say of one face's place."""

    place: FloatArray  # [2, 3] crop to frame
    box_xyxy: FloatArray  # [4]
    eyes_px: float  # between the eye centers
    is_finite: bool  # all landmarks are numbers


_native_model = (
    None
    if native is None
    else native.FaceModel(_ANCHOR_WEIGHTS, _similarity_solution(TEMPLATE_SIZE_PX))
)


def place_face(landmarks_xy: FloatArray) -> FacePlacement:
    """Map, box and eye distance of landmarks [68, 2]: `estimate_crop_to_frame` and
    `box_from_landmarks` in one.
    """
    if _native_model is not None:
        return FacePlacement(*native.place_face(_native_model, landmarks_xy))  # type: ignore[union-attr]
    anchors = keypoints_from_landmarks(landmarks_xy)
    return FacePlacement(
        estimate_crop_to_frame(anchors)[0],
        box_from_landmarks(landmarks_xy[None])[0],
        math.dist(anchors[0].tolist(), anchors[1].tolist()),
        math.isfinite(float(landmarks_xy.sum())),
    )


def is_plausible_motion(
    place: FloatArray, crop_map: FloatArray, width_px: int, height_px: int
) -> bool:
    """Whether a face that was read in the crop of `crop_map` [2, 3] can be where its landmarks
    place the next one, `place` [2, 3] (both crop to frame): centered inside a frame of that many
    pixels, and of about the same size.
    """
    middle = (TEMPLATE_SIZE_PX - 1) / 2
    if native is not None:
        good: bool = native.is_plausible_motion(place, crop_map, middle, width_px, height_px)
        return good
    (a, b, x), (c, d, y) = place.tolist()
    x, y = x + middle * (a + b), y + middle * (c + d)
    if not (0 <= x < width_px and 0 <= y < height_px):
        return False
    ratio = math.hypot(a, c) / max(math.hypot(float(crop_map[0, 0]), float(crop_map[1, 0])), 1e-6)
    return 0.5 < ratio < 2.0


def pose_in_frame(pose_deg: FloatArray, maps: FloatArray) -> FloatArray:
    """Yaw, pitch and roll [N, 3] in the frame of faces whose pose was read in the crops of maps [N,
    2, 3].
    """
    if native is not None:
        moved: FloatArray = native.pose_in_frame(pose_deg, maps)
        return moved
    turned: FloatArray = pose_deg.copy()
    for row, (own, leant) in enumerate(
        zip(pose_deg[:, 2].tolist(), transform_roll_deg(maps), strict=True)
    ):
        turned[row, 2] = (own + leant + 180) % 360 - 180
    return turned


def transform_scale(maps: FloatArray) -> NDArray[np.float64]:
    """Frame pixels per crop pixel [N] of similarity maps [N, 2, 3]."""
    return np.hypot(maps[:, 0, 0].astype(np.float64), maps[:, 1, 0])


def transform_roll_deg(maps: FloatArray) -> list[float]:
    """Clockwise rotation in the image, degrees [N], of maps [N, 2, 3]."""
    return [math.degrees(math.atan2(sine, cosine)) for cosine, sine in maps[:, :, 0].tolist()]


def overlap(first: FloatArray, second: FloatArray) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2)."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]))
    return shared / max(areas - shared, 1e-6)

"""Face geometry: keypoints, boxes and the aligned crop that training and inference share.

Transforms are named from-to: `crop_to_frame` is float32 [2, 3] and maps (x, y, 1). Pixel centers
have integer coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels import face_ops
from faceaffect.kernels.face_ops import pose_in_frame as pose_in_frame
from faceaffect.kernels.face_ops import transform_points as transform_points
from faceaffect.kernels.reference_face_ops import box_from_landmarks as box_from_landmarks
from faceaffect.labels import LANDMARK_COUNT
from faceaffect.types import FloatArray

TEMPLATE_SIZE_PX: Final[int] = 112

CANONICAL_KEYPOINTS_XY: Final[FloatArray] = np.array(
    [[38.5, 41.5], [73.5, 41.5], [56.0, 61.5], [41.5, 82.5], [70.5, 82.5]], np.float32
)
"""Right eye, left eye, nose tip, right and left mouth corner in an aligned 112 px crop.

The eyes are 35 px apart, and high enough that the chin stays inside when the jaw drops (AU26).
"""

AFFWILD2_EYE_OFFSET_PX: Final[float] = 10.0
"""How much lower the eyes are in the aligned crops of Aff-Wild2 (112 px, eyes 35 px apart)."""


def _keypoint_weights() -> FloatArray:
    weights = np.zeros((len(CANONICAL_KEYPOINTS_XY), LANDMARK_COUNT), np.float32)
    weights[0, 36:42] = 1 / 6
    weights[1, 42:48] = 1 / 6
    weights[2, 30] = 1
    weights[3, 48] = 1
    weights[4, 54] = 1
    return weights


_KEYPOINT_WEIGHTS: Final[FloatArray] = _keypoint_weights()  # [5, 68]


def keypoints_from_landmarks(landmarks_xy: FloatArray) -> FloatArray:
    """Five keypoints [..., 5, 2] of 68 landmarks [..., 68, 2].

    They are the eye centers, the nose tip and the mouth corners.
    """
    keypoints_xy: FloatArray = _KEYPOINT_WEIGHTS @ landmarks_xy
    return keypoints_xy


@lru_cache(maxsize=8)
def _similarity_solution(size_px: int) -> NDArray[np.float64]:
    """Matrix [10, 6] from the coordinates of five keypoints to the entries of the transform.

    The closed form of the two-dimensional Procrustes problem without reflection, which is linear in
    the keypoints: with points as complex numbers, minimize |a t + b - p|^2 over complex a, b
    (Umeyama 1991, for the plane), so that a = sum(conj(t_c) p) / sum |t_c|^2 with
    t_c = t - mean(t), and b = mean(p) - a mean(t).
    """
    scale = size_px / TEMPLATE_SIZE_PX
    template = (CANONICAL_KEYPOINTS_XY.astype(np.float64) + 0.5) * scale - 0.5
    centered = template - template.mean(axis=0)
    weight = centered / (centered**2).sum()
    zero = np.zeros(len(template))
    # Rows of `a` from (x, y) of each keypoint.
    real = np.stack([weight[:, 0], weight[:, 1]], axis=1).ravel()
    imaginary = np.stack([-weight[:, 1], weight[:, 0]], axis=1).ravel()
    mean_x, mean_y = (
        np.stack(pair, axis=1).ravel() / len(template)
        for pair in ((zero + 1, zero), (zero, zero + 1))
    )
    center_x, center_y = template.mean(axis=0)
    shift_x = mean_x - real * center_x + imaginary * center_y
    shift_y = mean_y - imaginary * center_x - real * center_y
    return np.stack([real, -imaginary, shift_x, imaginary, real, shift_y], axis=1)


def estimate_crop_to_frame(keypoints_xy: FloatArray, size_px: int = TEMPLATE_SIZE_PX) -> FloatArray:
    """Fit similarity transforms from crop to frame pixels by least squares over the keypoints.

    Args:
        keypoints_xy: [N, 5, 2] in the frame.
        size_px: Side of the crop.

    Returns:
        Transforms [N, 2, 3]; of zero scale where all keypoints are in one point.
    """
    points = np.asarray(keypoints_xy, np.float64).reshape(-1, 2 * len(CANONICAL_KEYPOINTS_XY))
    return (points @ _similarity_solution(size_px)).astype(np.float32).reshape(-1, 2, 3)


def rescale_transforms(transforms: FloatArray, size_px: int) -> FloatArray:
    """Crop-to-frame transforms [N, 2, 3] of 112 px crops for the same crops at `size_px`."""
    if size_px == TEMPLATE_SIZE_PX:
        return transforms
    step = np.float32(TEMPLATE_SIZE_PX / size_px)
    rescaled: FloatArray = transforms * step
    offset = transforms[:, :, :2].sum(axis=2) * (0.5 * step - 0.5)
    rescaled[:, :, 2] = transforms[:, :, 2] + offset
    return rescaled


def shift_transforms_down(transforms: FloatArray, offset_y_px: float) -> FloatArray:
    """Transforms [N, 2, 3] of crops in which the face is `offset_y_px` crop pixels lower."""
    if not offset_y_px:
        return transforms
    shifted: FloatArray = transforms.copy()
    shifted[:, :, 2] -= transforms[:, :, 1] * np.float32(offset_y_px)
    return shifted


def invert_transforms(transforms: FloatArray) -> FloatArray:
    """Invert similarity transforms [N, 2, 3]."""
    a = transforms[:, 0, 0].astype(np.float64)
    b = transforms[:, 1, 0].astype(np.float64)
    squared_scale = np.maximum(a * a + b * b, 1e-20)
    inverse = np.empty_like(transforms)
    inverse[:, 0, 0] = inverse[:, 1, 1] = a / squared_scale
    inverse[:, 0, 1] = b / squared_scale
    inverse[:, 1, 0] = -b / squared_scale
    inverse[:, :, 2] = -np.einsum("nij,nj->ni", inverse[:, :, :2], transforms[:, :, 2])
    return inverse


def transform_scale(transforms: FloatArray) -> NDArray[np.float64]:
    """Frame pixels per crop pixel [N] of similarity transforms [N, 2, 3]."""
    return np.hypot(transforms[:, 0, 0].astype(np.float64), transforms[:, 1, 0])


def transform_roll_deg(transforms: FloatArray) -> list[float]:
    """Clockwise rotation in the image, degrees [N], of similarity transforms [N, 2, 3]."""
    return [math.degrees(math.atan2(sine, cosine)) for cosine, sine in transforms[:, :, 0].tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class FacePlacement:
    """Position of one face according to its landmarks."""

    crop_to_frame: FloatArray  # [2, 3]
    box_xyxy: FloatArray  # [4]
    eye_distance_px: float  # between the eye centers
    is_finite: bool  # whether all landmarks are finite


_aligner = face_ops.FaceAligner(_KEYPOINT_WEIGHTS, _similarity_solution(TEMPLATE_SIZE_PX))


def place_face(landmarks_xy: FloatArray) -> FacePlacement:
    """`estimate_crop_to_frame` and `box_from_landmarks` of landmarks [68, 2] in one call."""
    return FacePlacement(*_aligner.place(landmarks_xy))


def is_plausible_motion(
    next_crop: FloatArray, crop_to_frame: FloatArray, width_px: int, height_px: int
) -> bool:
    """Whether a face can have moved from the crop that it was predicted in to `next_crop`.

    It can if `next_crop` is centered inside the frame and its scale is within a factor of two.

    Args:
        next_crop: Crop to frame [2, 3] that the predicted landmarks give.
        crop_to_frame: Crop to frame [2, 3] in which they were predicted.
        width_px: Width of the frame.
        height_px: Height of the frame.
    """
    center_px = (TEMPLATE_SIZE_PX - 1) / 2
    return face_ops.is_plausible_motion(next_crop, crop_to_frame, center_px, width_px, height_px)


def eye_openness(landmarks_xy: FloatArray) -> NDArray[np.float64]:
    """Openness of the person's right and left eye [N, 2] of landmarks [N, 68, 2].

    Mean distance of the eyelids relative to the width of the eye (eye aspect ratio, Soukupova and
    Cech 2016): about 0.3 for open eyes, NaN for an eye without width.
    """
    eyes = landmarks_xy[:, 36:48].reshape(-1, 2, 6, 2).astype(np.float64)

    def distance(a: int, b: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(eyes[:, :, a] - eyes[:, :, b], axis=-1))

    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (distance(1, 5) + distance(2, 4)) / (2 * distance(0, 3))
    return np.where(np.isfinite(ratio), ratio, np.nan)


CLOSED_EYE_OPENNESS: Final = 0.119
"""Mean openness of both eyes at which they are as likely closed as open."""
_CLOSED_EYE_SCALE: Final = 0.0365


def closed_eyes_probability(landmarks_xy: FloatArray) -> NDArray[np.float64]:
    """Probability [N] that the eyes are closed (AU45), by landmarks [N, 68, 2].

    A logistic function of the mean `eye_openness` of both eyes, fitted on landmarks of the default
    model to the blinks of its landmark teacher (4,055 photographs). NaN for an eye without width.
    """
    openness = eye_openness(landmarks_xy).mean(axis=1)
    return np.asarray(1 / (1 + np.exp((openness - CLOSED_EYE_OPENNESS) / _CLOSED_EYE_SCALE)))


def iou(first: FloatArray, second: FloatArray) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2)."""
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(first[2:], second[2:])
    intersection = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]))
    return intersection / max(areas - intersection, 1e-6)

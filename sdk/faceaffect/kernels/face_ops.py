"""Small per-face operations around the network: native where built, else `reference_face_ops`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels import reference_face_ops as reference
from faceaffect.kernels.native import native
from faceaffect.types import BoolArray, FloatArray, Frame


def transform_points(transforms: FloatArray, points_xy: FloatArray) -> FloatArray:
    """Apply transforms [N, 2, 3] to points [N, L, 2]; N = 1 broadcasts on either side."""
    if native is None or len(transforms) != len(points_xy):
        return reference.transform_points(transforms, points_xy)
    moved: FloatArray = native.transform_points(transforms, points_xy)
    return moved


class FaceAligner:
    """Computes where one face is in the frame from its landmarks, in one native call."""

    def __init__(self, keypoint_weights: FloatArray, solution: NDArray[np.float64]) -> None:
        """Prepare the constants of one crop template.

        Args:
            keypoint_weights: [5, 68], weights of the landmarks in each keypoint.
            solution: [10, 6], matrix from keypoint coordinates to the entries of the transform.
        """
        self._arguments = (keypoint_weights, solution)
        self._native_template = (
            None if native is None else native.AlignmentTemplate(*self._arguments)
        )

    def place(self, landmarks_xy: FloatArray) -> tuple[FloatArray, FloatArray, float, bool]:
        """Crop to frame [2, 3], box [4], eye distance in pixels, and whether all is finite."""
        if native is None:
            return reference.place_face(landmarks_xy, *self._arguments)
        placement: tuple[FloatArray, FloatArray, float, bool]
        placement = native.place_face(self._native_template, landmarks_xy)
        return placement


def is_plausible_motion(
    next_crop: FloatArray,
    crop_to_frame: FloatArray,
    center_px: float,
    width_px: int,
    height_px: int,
) -> bool:
    """Whether `next_crop` [2, 3] is centered in the frame and of about the size of the last crop.

    Args:
        next_crop: Crop to frame that the landmarks give.
        crop_to_frame: Crop to frame in which the landmarks were predicted.
        center_px: Coordinate of the crop's center, x and y alike.
        width_px: Width of the frame.
        height_px: Height of the frame.
    """
    if native is None:
        return reference.is_plausible_motion(
            next_crop, crop_to_frame, center_px, width_px, height_px
        )
    is_plausible: bool = native.is_plausible_motion(
        next_crop, crop_to_frame, center_px, width_px, height_px
    )
    return is_plausible


def pose_in_frame(pose_deg: FloatArray, crop_to_frame: FloatArray) -> FloatArray:
    """Poses [N, 3] (yaw, pitch, roll) in crops [N, 2, 3] as poses in the frame."""
    if native is None:
        return reference.pose_in_frame(pose_deg, crop_to_frame)
    in_frame: FloatArray = native.pose_in_frame(pose_deg, crop_to_frame)
    return in_frame


def appearance_descriptors(crops: FloatArray, mean_face: FloatArray) -> FloatArray:
    """Unit-length descriptors [N, 432] of normalized crops [N, 3, S, S], S >= 28."""
    if native is None:
        return reference.descriptors_from_grid(reference.sample_grid(crops), mean_face)
    descriptors: FloatArray = native.appearance_descriptors(crops, mean_face)
    return descriptors


def descriptors_from_grid(grid: FloatArray, mean_face: FloatArray) -> FloatArray:
    """Unit-length descriptors [N, 432] of the sums [N, 3, 12, 12] of `sample_grid`."""
    if native is None:
        return reference.descriptors_from_grid(grid, mean_face)
    descriptors: FloatArray = native.descriptors_from_grid(grid, mean_face)
    return descriptors


def cosine_similarity(first: FloatArray, second: FloatArray) -> float:
    """Dot product of two unit-length descriptors [P], -1 to 1."""
    if native is None:
        return float(first @ second)
    similarity: float = native.cosine_similarity(first, second)
    return similarity


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
    """Filter points [L, 2] by one step of the One Euro filter (Casiez, Roussel and Vogel 2012).

    Args:
        points_xy: New points, in pixels.
        previous_xy: Filtered points of the last step.
        speed_x: Filtered speed of the points' mean, in `scale_px` per second.
        speed_y: Same, vertically.
        scale_px: Unit of the speed.
        step_s: Time since the last step, above 0.
        min_cutoff_hz: Cut-off frequency at rest.
        beta: Increase of the cut-off frequency with the speed.
        derivative_cutoff_hz: Cut-off frequency of the speed.

    Returns:
        Filtered points, and the new speeds.
    """
    step = reference.one_euro if native is None else native.one_euro
    filtered: tuple[FloatArray, float, float] = step(
        points_xy,
        previous_xy,
        speed_x,
        speed_y,
        scale_px,
        step_s,
        min_cutoff_hz,
        beta,
        derivative_cutoff_hz,
    )
    return filtered


def decode_scores(
    au_logit: FloatArray, expression_logit: FloatArray, va: FloatArray, is_raw: bool
) -> FloatArray:
    """Scores [N, 21] of N faces: 12 AU and 7 expression probabilities, valence, arousal.

    Args:
        au_logit: [N, 12].
        expression_logit: [N, 7].
        va: Valence and arousal [N, 2].
        is_raw: Whether `va` still needs tanh; otherwise it is clipped to -1 .. 1.
    """
    decode = reference.decode_scores if native is None else native.decode_scores
    scores: FloatArray = decode(au_logit, expression_logit, va, is_raw)
    return scores


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
    """Smooth one face's scores by one step, in place, and decide on its AUs with hysteresis.

    Args:
        scores: [21], AUs first, valence and arousal last; replaced by `mean`.
        mean: [21], running mean; updated.
        is_active: [12], AU decisions; updated.
        is_first: Whether `mean` is a copy of `scores`.
        alpha: Weight of a new score that changed little.
        va_alpha: Weight of new valence and arousal.
        jump: Change of a score from which its weight is 1.
        low: [12], below which an active AU becomes inactive.
        threshold: [12], of the first frame.
        high: [12], from which an inactive AU becomes active.
    """
    smooth = reference.smooth_scores if native is None else native.smooth_scores
    smooth(scores, mean, is_active, is_first, alpha, va_alpha, jump, low, threshold, high)


def shot_change(
    frame: Frame, row_step: int, column_step: int, previous: FloatArray | None
) -> tuple[FloatArray, float | None]:
    """Sample a grid of gray levels of `frame` and compare it with the grid of the last frame.

    Returns:
        The grid [rows, columns] of every `row_step`-th row and `column_step`-th column, and its
        mean absolute change from `previous` in gray levels, None where the shapes differ.
    """
    # The native code would copy all pixels of an image whose rows are not contiguous.
    contiguous = (3, 1) if frame.pixel_format.is_color else (1,)
    has_contiguous_rows = frame.pixels.strides[1:] == contiguous
    if native is None or not has_contiguous_rows:
        return reference.shot_change(frame, row_step, column_step, previous)
    change: tuple[FloatArray, float | None] = native.shot_change(
        frame.planes, frame.pixel_format, row_step, column_step, previous
    )
    return change

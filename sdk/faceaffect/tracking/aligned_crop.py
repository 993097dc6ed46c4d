"""Images that already are face crops: nothing is detected, landmarks re-align them."""

from __future__ import annotations

import numpy as np

from faceaffect.geometry import (
    AFFWILD2_EYE_OFFSET_PX,
    CANONICAL_KEYPOINTS_XY,
    estimate_crop_to_frame,
    keypoints_from_landmarks,
    transform_scale,
)
from faceaffect.tracking.face_network import FaceOutputs, Reader
from faceaffect.types import FloatArray, Frame


def _guess_anchors(frame: Frame) -> FloatArray:
    """Anchors [1, 5, 2] of the usual aligned crop, scaled to the image's shorter side and centered."""
    side = min(frame.width_px, frame.height_px)
    anchors = (
        CANONICAL_KEYPOINTS_XY + np.array([0.0, AFFWILD2_EYE_OFFSET_PX], np.float32) + 0.5
    ) * (side / 112.0) - 0.5
    anchors += np.array([(frame.width_px - side) / 2, (frame.height_px - side) / 2], np.float32)
    return np.asarray(anchors[None], np.float32)


def read_loose_crop(frame: Frame, read: Reader) -> FaceOutputs:
    """The reading [1] of the face that fills `frame`; a doubtful face has a low score but is still
    read.

    The first look places the second by its landmarks, unless they make no sense.
    """
    first_map = estimate_crop_to_frame(_guess_anchors(frame))
    first = read(frame, first_map)
    second_map = estimate_crop_to_frame(keypoints_from_landmarks(first.landmarks_xy))
    ratio = transform_scale(second_map)[0] / max(transform_scale(first_map)[0], 1e-6)
    if not (np.isfinite(second_map).all() and 0.4 < ratio < 2.5):
        return first
    second = read(frame, second_map)
    return second if second.score[0] >= 0.5 * first.score[0] else first

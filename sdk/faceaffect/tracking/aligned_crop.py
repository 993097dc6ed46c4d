"""Pictures that already are face crops: nothing is detected, landmarks re-align them."""

from __future__ import annotations

import numpy as np

from faceaffect.geometry import OFFICIAL_LOWER_PX, TEMPLATE_XY, anchors_from_landmarks, crop_to_frame, map_scale
from faceaffect.tracking.face_network import FaceReading, Reader
from faceaffect.types import FloatArray, Frame


def _guess_anchors(frame: Frame) -> FloatArray:
    """Anchors [1, 5, 2] of the usual aligned crop, scaled to the picture's shorter side and centred."""
    side = min(frame.width_px, frame.height_px)
    anchors = (TEMPLATE_XY + np.array([0.0, OFFICIAL_LOWER_PX], np.float32) + 0.5) * (side / 112.0) - 0.5
    anchors += np.array([(frame.width_px - side) / 2, (frame.height_px - side) / 2], np.float32)
    return np.asarray(anchors[None], np.float32)


def read_loose_crop(frame: Frame, read: Reader) -> FaceReading:
    """The reading [1] of the face that fills `frame`; a doubtful face has a low score but is still read.

    The first look places the second by its landmarks, unless they make no sense.
    """
    first_map = crop_to_frame(_guess_anchors(frame))
    first = read(frame, first_map)
    second_map = crop_to_frame(anchors_from_landmarks(first.landmarks_xy))
    ratio = map_scale(second_map)[0] / max(map_scale(first_map)[0], 1e-6)
    if not (np.isfinite(second_map).all() and 0.4 < ratio < 2.5):
        return first
    second = read(frame, second_map)
    return second if second.score[0] >= 0.5 * first.score[0] else first

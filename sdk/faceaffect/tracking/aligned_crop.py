"""Images that already are aligned face crops: no detector runs, landmarks refine the alignment."""

from __future__ import annotations

import numpy as np

from faceaffect.geometry import (
    AFFWILD2_EYE_OFFSET_PX,
    CANONICAL_KEYPOINTS_XY,
    TEMPLATE_SIZE_PX,
    box_from_landmarks,
    estimate_crop_to_frame,
    keypoints_from_landmarks,
    transform_scale,
)
from faceaffect.tracking.detection_prefetch import DetectionPrefetcher
from faceaffect.tracking.face_network import FaceNetwork, FaceOutputs, RunFaceNetwork
from faceaffect.tracking.located_faces import LocatedFaces
from faceaffect.types import FloatArray, Frame


class AlignedCropFaces:
    """Locates the one face that fills each frame; its track id is 1."""

    detector_name = "none"

    def __init__(self, network: FaceNetwork) -> None:
        self._network = network

    def locate(self, frame: Frame) -> LocatedFaces:
        """The face [1] of `frame`."""
        outputs = run_on_aligned_crop(frame, self._network.run)
        landmarks_xy = outputs.landmarks_xy
        return LocatedFaces(
            outputs, landmarks_xy, box_from_landmarks(landmarks_xy), np.ones(1, np.int64)
        )

    def reset(self, track_ids: bool = False) -> None:
        """Do nothing: no frame depends on another one."""

    def set_next_track_id(self, track_id: int) -> None:
        """Do nothing: the id is always 1."""

    def create_prefetcher(self) -> DetectionPrefetcher | None:
        """None: no detector runs."""
        return None

    def detect_in_background(self) -> None:
        """Do nothing: no detector runs."""


def run_on_aligned_crop(frame: Frame, run: RunFaceNetwork) -> FaceOutputs:
    """Outputs [1] for the face that fills `frame`; an unlikely face just has a low score.

    The landmarks of the first run place the crop of the second one, unless they make no sense.
    """
    first_crop = estimate_crop_to_frame(_expected_keypoints(frame))
    first = run(frame, first_crop)
    second_crop = estimate_crop_to_frame(keypoints_from_landmarks(first.landmarks_xy))
    ratio = transform_scale(second_crop)[0] / max(transform_scale(first_crop)[0], 1e-6)
    if not (np.isfinite(second_crop).all() and 0.4 < ratio < 2.5):
        return first
    second = run(frame, second_crop)
    return second if second.face_score[0] >= 0.5 * first.face_score[0] else first


def _expected_keypoints(frame: Frame) -> FloatArray:
    """Keypoints [1, 5, 2] of a crop as in Aff-Wild2, centered, scaled to the shorter side."""
    side = min(frame.width_px, frame.height_px)
    offset = np.array([0.0, AFFWILD2_EYE_OFFSET_PX], np.float32)
    keypoints = (CANONICAL_KEYPOINTS_XY + offset + 0.5) * (side / float(TEMPLATE_SIZE_PX)) - 0.5
    keypoints += np.array([(frame.width_px - side) / 2, (frame.height_px - side) / 2], np.float32)
    return np.asarray(keypoints[None], np.float32)

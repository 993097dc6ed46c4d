"""From detections to new faces: refined, turned upright, checked, one for each face."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from faceaffect.detectors.detector import Detections, Detector
from faceaffect.geometry import (
    FacePlacement,
    box_from_landmarks,
    estimate_crop_to_frame,
    is_plausible_motion,
    keypoints_from_landmarks,
    place_face,
)
from faceaffect.kernels.activations import sigmoid
from faceaffect.system.stage_timer import StageTimer
from faceaffect.tracking.face_network import FaceOutputs, RunFaceNetwork
from faceaffect.tracking.track import is_same_face
from faceaffect.tracking.tracker_config import TrackerConfig
from faceaffect.types import FloatArray, Frame

_STRONG_SCORE: Final = 0.5
_MAX_WEAK: Final = 2
"""Candidates below `_STRONG_SCORE` that are examined while faces are tracked."""
_SMALL_FACE_PX: Final = 40
_SURE_QUALITY: Final = 0.35
_SURE_SCORE: Final = 0.9
"""Quality and face score from which no verifier is asked.

Measured: false positives have a quality below 0.12; faces in the dark or with sunglasses that O-Net
rejects have 0.4 and more.
"""
_DOUBTFUL_QUALITY: Final = 0.2
"""Quality below which a face may be upside down or lie on its side."""
_UPRIGHT_GAIN: Final = 1.5
"""How many times better the quality of a turned crop must be."""


class NewFaces:
    """Examines detections: the network's own landmarks refine the coarse keypoints."""

    def __init__(
        self, detector: Detector, run: RunFaceNetwork, config: TrackerConfig, timer: StageTimer
    ) -> None:
        self._detector = detector
        self._run = run
        self._config = config
        self._timer = timer

    def find(
        self, frame: Frame, detections: Detections, tracked_boxes: list[FloatArray], most: int
    ) -> FaceOutputs | None:
        """Outputs of at most `most` faces in `frame` that are not tracked yet, best first."""
        rows = _untracked(detections, tracked_boxes)
        if tracked_boxes:
            strong = [row for row in rows if detections.score[row] >= _STRONG_SCORE]
            rows = strong + [row for row in rows if row not in strong][:_MAX_WEAK]
        if not rows or most < 1:
            return None
        crops = estimate_crop_to_frame(detections.keypoints_xy[rows[: 2 * most + 2]])
        for _ in range(2):
            coarse = self._run(frame, crops)
            # What is clearly no face is dropped at once.
            kept_xy = coarse.landmarks_xy[coarse.face_score >= self._config.reject_threshold]
            crops = estimate_crop_to_frame(keypoints_from_landmarks(kept_xy))
            if not len(crops):
                return None
        refined = self._turn_upright(frame, self._run(frame, crops))
        quality = face_quality(refined)
        rows = [row for row in range(len(crops)) if self._is_face(frame, refined, row, quality)]
        rows.sort(key=lambda row: -float(quality[row]))
        rows = _one_for_each_face(rows, refined, tracked_boxes)
        rows = self._verify(frame, rows, refined, quality)[:most]
        return refined.select(rows) if rows else None

    def _turn_upright(self, frame: Frame, outputs: FaceOutputs) -> FaceOutputs:
        """Replace doubtful faces whose crop is better when turned by 90, 180 or 270 degrees.

        A face upside down can look like a poor upright one, which would be read wrongly.
        """
        quality = face_quality(outputs)
        score = outputs.face_score
        doubtful = [
            row
            for row in range(len(quality))
            if quality[row] < _DOUBTFUL_QUALITY and score[row] >= self._config.new_track_threshold
        ]
        if not doubtful:
            return outputs
        crops = estimate_crop_to_frame(keypoints_from_landmarks(outputs.landmarks_xy[doubtful]))
        for turns in (1, 2, 3):
            turned = self._run(frame, _turn(crops, turns))
            again = self._run(
                frame, estimate_crop_to_frame(keypoints_from_landmarks(turned.landmarks_xy))
            )
            better = face_quality(again)
            for at, row in enumerate(doubtful):
                if again.face_score[at] >= self._config.new_track_threshold and better[at] > max(
                    _UPRIGHT_GAIN * quality[row], self._config.min_new_quality
                ):
                    quality[row] = better[at]
                    outputs = outputs.replace(row, again, at)
        return outputs

    def _is_face(self, frame: Frame, outputs: FaceOutputs, row: int, quality: FloatArray) -> bool:
        config = self._config
        landmarks_xy = outputs.landmarks_xy[row]
        # Of a face on its side the longer extent is its height.
        extent = np.ptp(landmarks_xy, axis=0).max()
        is_small = extent < _SMALL_FACE_PX
        least = config.min_new_quality_small if is_small else config.min_new_quality
        return bool(
            outputs.face_score[row] >= config.new_track_threshold
            and quality[row] >= least
            and extent >= 0.6 * config.min_face_size_px
            and is_plausible(frame, place_face(landmarks_xy), outputs.crop_to_frame[row])
        )

    def _verify(
        self, frame: Frame, rows: list[int], outputs: FaceOutputs, quality: FloatArray
    ) -> list[int]:
        """Rows that are beyond doubt, or that the detector's verifier accepts."""
        doubtful = [
            row
            for row in rows
            if quality[row] < _SURE_QUALITY or outputs.face_score[row] < _SURE_SCORE
        ]
        if not doubtful:
            return rows
        crops = estimate_crop_to_frame(keypoints_from_landmarks(outputs.landmarks_xy[doubtful]))
        with self._timer.stage("detect"):
            is_accepted = self._detector.verify(frame, crops).tolist()
        rejected = {
            row for row, accepted in zip(doubtful, is_accepted, strict=True) if not accepted
        }
        return [row for row in rows if row not in rejected]


def is_plausible(frame: Frame, placement: FacePlacement, crop_to_frame: FloatArray) -> bool:
    """Whether landmarks are finite, inside the frame and of about the size of their crop."""
    return placement.is_finite and is_plausible_motion(
        placement.crop_to_frame, crop_to_frame, frame.width_px, frame.height_px
    )


def face_quality(outputs: FaceOutputs) -> FloatArray:
    """Quality [N] of the faces, 0 to 1."""
    return sigmoid(outputs.heads["quality_logit"])


def _untracked(detections: Detections, tracked_boxes: list[FloatArray]) -> list[int]:
    """Rows of the detections whose center is in no tracked face."""
    if not tracked_boxes:
        return list(range(len(detections)))
    boxes = np.stack(tracked_boxes)
    centers = detections.keypoints_xy.mean(axis=1)[:, None]
    inside = (centers >= boxes[None, :, :2]) & (centers <= boxes[None, :, 2:])
    return [int(row) for row in np.flatnonzero(~inside.all(axis=2).any(axis=1))]


def _one_for_each_face(
    rows: list[int], outputs: FaceOutputs, tracked_boxes: list[FloatArray]
) -> list[int]:
    """Rows whose face overlaps no tracked face and no earlier row."""
    boxes = list(tracked_boxes)
    kept = []
    for row in rows:
        box = box_from_landmarks(outputs.landmarks_xy[row : row + 1])[0]
        if not any(is_same_face(box, other) for other in boxes):
            boxes.append(box)
            kept.append(row)
    return kept


def _turn(crop_to_frame: FloatArray, turns: int) -> FloatArray:
    """The crops [N, 2, 3] turned clockwise about their centers by `turns` times 90 degrees."""
    center = np.float32(55.5)
    cosine, sine = round(math.cos(turns * math.pi / 2)), round(math.sin(turns * math.pi / 2))
    turn = np.array([[cosine, -sine], [sine, cosine]], np.float32)
    middle = crop_to_frame[:, :, :2] @ np.array([center, center]) + crop_to_frame[:, :, 2]
    turned = np.empty_like(crop_to_frame)
    turned[:, :, :2] = crop_to_frame[:, :, :2] @ turn
    turned[:, :, 2] = middle - turned[:, :, :2] @ np.array([center, center], np.float32)
    return turned

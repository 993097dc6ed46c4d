"""One tracked face, and comparisons of tracked faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from faceaffect.geometry import FacePlacement, iou, is_plausible_motion, place_face
from faceaffect.tracking.one_euro_filter import OneEuroFilter
from faceaffect.types import FloatArray, Frame

SAME_FACE_IOU: Final = 0.5
"""Overlap of two boxes from which they are of one face."""


@dataclass(slots=True)
class Track:
    """One face over time."""

    track_id: int
    landmarks_xy: FloatArray  # [68, 2], smoothed
    appearance: FloatArray  # [P], of the last frame
    last_seen_s: float
    frames_tracked: int = 0
    filter: OneEuroFilter = field(default_factory=OneEuroFilter)
    # Crop to frame [2, 3] for the next frame.
    next_crop: FloatArray = field(default_factory=lambda: np.zeros((2, 3), np.float32))
    box_xyxy: FloatArray = field(default_factory=lambda: np.zeros(4, np.float32))

    def update(
        self,
        landmarks_xy: FloatArray,
        placement: FacePlacement,
        appearance: FloatArray,
        time_s: float,
        smooth: bool,
    ) -> None:
        """Store the outputs of a frame; `placement` is that of `landmarks_xy`."""
        if smooth:
            landmarks_xy = self.filter.update(
                landmarks_xy, placement.eye_distance_px, time_s - self.last_seen_s
            )
            placement = place_face(landmarks_xy)
        self.landmarks_xy = landmarks_xy
        self.appearance = appearance
        self.last_seen_s = time_s
        self.next_crop = placement.crop_to_frame
        self.box_xyxy = placement.box_xyxy
        self.frames_tracked += 1


def suppress_duplicate_tracks(rows: list[int], tracks: list[Track]) -> list[int]:
    """Keep the longest of the tracks that have moved onto one face."""
    if len(rows) < 2:
        return rows
    kept: list[int] = []
    for row in sorted(rows, key=lambda row: -tracks[row].frames_tracked):
        box = tracks[row].box_xyxy
        if all(iou(box, tracks[other].box_xyxy) < SAME_FACE_IOU for other in kept):
            kept.append(row)
    return sorted(kept)


def is_plausible(frame: Frame, placement: FacePlacement, crop_to_frame: FloatArray) -> bool:
    """Whether landmarks are finite, inside the frame and of about the size of their crop."""
    return placement.is_finite and is_plausible_motion(
        placement.crop_to_frame, crop_to_frame, frame.width_px, frame.height_px
    )


def is_near(before_xy: FloatArray, now_xy: FloatArray, gap_s: float) -> bool:
    """Whether a face could have moved so far in `gap_s`: up to two of its heights a second."""
    height = np.ptp(before_xy[:, 1])
    distance = np.hypot(*(now_xy.mean(axis=0) - before_xy.mean(axis=0)))
    return bool(distance <= height * (0.7 + 2.0 * max(gap_s, 0.0)))

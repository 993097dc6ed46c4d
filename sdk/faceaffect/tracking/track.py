"""One face over time, and whether two observations are the same person."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from faceaffect.geometry import FacePlacement, place_face
from faceaffect.tracking.appearance import cosine_similarity
from faceaffect.tracking.face_network import FaceOutputs
from faceaffect.tracking.one_euro_filter import OneEuroFilter
from faceaffect.types import FloatArray

_REFERENCE_STRIDE: Final = 4  # frames between two updates of the reference
_REFERENCE_ALPHA: Final = 0.3
_MIN_TURN_DEG: Final = 6.0  # from which a change of yaw or pitch explains another appearance
_MAX_TURN_SHIFT: Final = 0.6  # face heights that a head moves at most while it turns in a frame
_MAX_TURN_S: Final = 0.4


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
    # [3] in the crop, of the last frame; empty if the network has no such head
    pose_deg: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    # [P], running mean while no other face overlaps
    reference: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    # Center of the face and time at the last update of the reference.
    anchor: tuple[float, float, float] = (0.0, 0.0, 0.0)
    velocity_xy: tuple[float, float] = (0.0, 0.0)  # pixels a second
    was_hidden: bool = False  # whether it was lost where another face overlaps

    def update(
        self,
        outputs: FaceOutputs,
        row: int,
        placement: FacePlacement,
        time_s: float,
        *,
        smooth: bool,
        is_alone: bool = True,
    ) -> None:
        """Store the outputs of a frame.

        Args:
            outputs: Of the frame.
            row: Of this face in `outputs`.
            placement: Of its landmarks.
            time_s: Time of the frame.
            smooth: Whether landmarks are smoothed.
            is_alone: Whether no other face overlaps this one.
        """
        landmarks_xy = outputs.landmarks_xy[row]
        if smooth:
            landmarks_xy = self.filter.update(
                landmarks_xy, placement.eye_distance_px, time_s - self.last_seen_s
            )
            placement = place_face(landmarks_xy)
        self.landmarks_xy = landmarks_xy
        self.appearance = outputs.appearance[row]
        pose_deg = outputs.heads.get("pose_deg")
        if pose_deg is not None:
            self.pose_deg = pose_deg[row]
        self.last_seen_s = time_s
        self.next_crop = placement.crop_to_frame
        self.box_xyxy = placement.box_xyxy
        if (is_alone or not len(self.reference)) and self.frames_tracked % _REFERENCE_STRIDE == 0:
            self._update_reference(time_s)
        self.frames_tracked += 1

    def rescale(self, scale_x: float, scale_y: float) -> None:
        """Scale where the face was seen last, as the size of frames changed."""
        self.box_xyxy = self.box_xyxy * np.array([scale_x, scale_y] * 2, np.float32)
        x, y, time_s = self.anchor
        self.anchor = (x * scale_x, y * scale_y, time_s)
        self.velocity_xy = (self.velocity_xy[0] * scale_x, self.velocity_xy[1] * scale_y)

    def resume(self, lost: Track) -> None:
        """Take over the memory of a lost track of the same person."""
        self.reference = lost.reference
        self.anchor = lost.anchor
        self.velocity_xy = lost.velocity_xy

    def _update_reference(self, time_s: float) -> None:
        x, y = face_center(self.box_xyxy)
        if not len(self.reference):
            self.reference = self.appearance
        else:
            mean = self.reference + np.float32(_REFERENCE_ALPHA) * (
                self.appearance - self.reference
            )
            length = math.sqrt(float(mean @ mean))
            self.reference = mean / np.float32(max(length, 1e-6))
            step_s = max(time_s - self.anchor[2], 1e-3)
            self.velocity_xy = (x - self.anchor[0]) / step_s, (y - self.anchor[1]) / step_s
        self.anchor = (x, y, time_s)

    def similarity(self, appearance: FloatArray) -> float:
        """Similarity of an appearance to the last one or to the reference."""
        return max(
            cosine_similarity(self.appearance, appearance),
            cosine_similarity(self.reference, appearance),
        )

    def could_be_at(self, box_xyxy: FloatArray, time_s: float) -> bool:
        """Whether the face could have moved to `box_xyxy` since it was last seen.

        It moves up to two of its heights a second, or on as it did.
        """
        gap_s = max(time_s - self.last_seen_s, 0.0)
        x, y = face_center(box_xyxy)
        last_x, last_y = face_center(self.box_xyxy)
        height = float(self.box_xyxy[3] - self.box_xyxy[1])
        reach = height * (0.55 + 1.5 * gap_s)  # of a box, which includes the forehead
        on_x, on_y = self.velocity_xy
        return (
            math.hypot(x - last_x, y - last_y) <= reach
            or math.hypot(x - last_x - gap_s * on_x, y - last_y - gap_s * on_y) <= reach
        )

    def may_have_turned_to(
        self, outputs: FaceOutputs, row: int, box_xyxy: FloatArray, time_s: float
    ) -> bool:
        """Whether a turn of the head explains another appearance at the same place."""
        pose_deg = outputs.heads.get("pose_deg")
        if pose_deg is None or not len(self.pose_deg) or time_s - self.last_seen_s > _MAX_TURN_S:
            return False
        yaw, pitch = abs(pose_deg[row, :2] - self.pose_deg[:2]).tolist()
        return max(yaw, pitch) >= _MIN_TURN_DEG and self.is_near(box_xyxy)

    def is_near(self, box_xyxy: FloatArray) -> bool:
        """Whether a head that only turns can have its face at `box_xyxy`."""
        x, y = face_center(box_xyxy)
        last_x, last_y = face_center(self.box_xyxy)
        height = float(self.box_xyxy[3] - self.box_xyxy[1])
        return math.hypot(x - last_x, y - last_y) <= _MAX_TURN_SHIFT * height


def face_center(box_xyxy: FloatArray) -> tuple[float, float]:
    """Center of a box [4]."""
    x1, y1, x2, y2 = box_xyxy.tolist()
    return (x1 + x2) / 2, (y1 + y2) / 2


def overlap_of_smaller(first: FloatArray, second: FloatArray) -> float:
    """Share of the smaller of two boxes that the other one covers."""
    ax1, ay1, ax2, ay2 = first.tolist()
    bx1, by1, bx2, by2 = second.tolist()
    width = min(ax2, bx2) - max(ax1, bx1)
    height = min(ay2, by2) - max(ay1, by1)
    if width <= 0 or height <= 0:
        return 0.0
    smaller = min((ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1))
    return float(width * height / max(smaller, 1e-6))


def is_beside(first: FloatArray, second: FloatArray) -> bool:
    """Whether a head at the box `second` can hide a part of the face at `first`.

    Hair and ears reach some half of a face beyond the box of the landmarks.
    """
    ax1, ay1, ax2, ay2 = first.tolist()
    bx1, by1, bx2, by2 = second.tolist()
    reach_x, reach_y = (ax2 - ax1) / 2, (ay2 - ay1) / 2
    return bool(
        min(ax2 + reach_x, bx2) > max(ax1 - reach_x, bx1)
        and min(ay2 + reach_y, by2) > max(ay1 - reach_y, by1)
    )


def is_same_face(first: FloatArray, second: FloatArray) -> bool:
    """Whether two boxes lie on one face: one of them is mostly inside the other."""
    return overlap_of_smaller(first, second) >= SAME_FACE_OVERLAP


SAME_FACE_OVERLAP: Final = 0.6

"""Stitches consecutive segments: matches the frames and the faces that both have analyzed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from faceaffect.geometry import iou
from faceaffect.segments.frame_result import FrameResult
from faceaffect.types import IdArray

_TIME_TOLERANCE_S: Final = 1e-4
_MIN_COMMON: Final = 0.5  # fraction of the warm-up frames; a container may time only half of them
_MIN_IOU: Final = 0.5  # of the boxes of one face in one frame


def frame_offset(previous: Sequence[FrameResult], warmup: Sequence[FrameResult]) -> int | None:
    """Return what to add to the frame numbers of a segment to get the numbers in the video.

    A process that seeks counts frames from where the file's frame rate puts the target, which may
    be off.

    Args:
        previous: Last frames of the previous segment, under their numbers in the video.
        warmup: Warm-up frames of the segment.

    Returns:
        The offset; None if presentation times do not determine it.
    """
    index_by_time = {round(one.time_s / _TIME_TOLERANCE_S): one.index for one in previous}
    offsets = []
    for one in warmup:
        key = round(one.time_s / _TIME_TOLERANCE_S)
        nearby = (key, key - 1, key + 1)
        index = next((index_by_time[near] for near in nearby if near in index_by_time), None)
        if index is not None:
            offsets.append(index - one.index)
    if len(offsets) < max(1, _MIN_COMMON * len(warmup)) or len(set(offsets)) > 1:
        return None
    return offsets[0]


@dataclass(slots=True)
class TrackIdMapper:
    """Maps the track ids of a segment to those of the whole video.

    Faces of the previous segment keep their ids; others get new ones, from `next_id` on.
    """

    next_id: int
    _id_map: dict[int, int] = field(default_factory=dict)

    def start_segment(self, previous: Sequence[FrameResult], warmup: Sequence[FrameResult]) -> None:
        """Match the faces of a segment to those of the previous one.

        Args:
            previous: Last frames of the previous segment, under final ids.
            warmup: The same frames as the segment has them.
        """
        self._id_map = {}
        previous_by_index = {one.index: one for one in previous}
        for one in reversed(warmup):
            if one.index in previous_by_index:
                self._match(previous_by_index[one.index], one)

    def _match(self, previous: FrameResult, current: FrameResult) -> None:
        used = set(self._id_map.values())
        pairs = sorted(
            (-iou(box, other), int(local), int(final))
            for box, local in zip(current.faces.box_xyxy, current.faces.track_id, strict=True)
            for other, final in zip(previous.faces.box_xyxy, previous.faces.track_id, strict=True)
        )
        for negative_iou, local, final in pairs:
            if -negative_iou >= _MIN_IOU and local not in self._id_map and final not in used:
                self._id_map[local] = final
                used.add(final)

    def map(self, track_id: IdArray) -> IdArray:
        """Return the final ids [N] of local ids [N]."""
        local_ids = track_id.tolist()
        for local in local_ids:
            if local not in self._id_map:
                self._id_map[local] = self.next_id
                self.next_id += 1
        return np.array([self._id_map[local] for local in local_ids], np.int64)

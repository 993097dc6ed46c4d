"""Where two stretches meet: which of their frames and which of their faces are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from faceaffect.geometry import iou
from faceaffect.segments.frame_result import FrameResult
from faceaffect.types import IdArray

_SAME_TIME_S: Final = 1e-4
_LEAST_COMMON: Final = 0.5  # of the early frames, which a container may time by half
_SAME_FACE: Final = 0.5  # intersection over union of boxes of one frame


def frame_offset(before: Sequence[FrameResult], early: Sequence[FrameResult]) -> int | None:
    """What to add to the numbers of `early`, frames of the later stretch, whose times `before`
    knows with their true numbers.

    A process that sought its place has counted from where the file's frame rate puts it. None
    where the times do not tell.
    """
    at = {round(one.time_s / _SAME_TIME_S): one.index for one in before}
    shifts = []
    for one in early:
        key = round(one.time_s / _SAME_TIME_S)
        index = next((at[near] for near in (key, key - 1, key + 1) if near in at), None)
        if index is not None:
            shifts.append(index - one.index)
    if len(shifts) < max(1, _LEAST_COMMON * len(early)) or len(set(shifts)) > 1:
        return None
    return shifts[0]


@dataclass(slots=True)
class TrackIdMapper:
    """Gives the faces of a stretch the ids that they have in the stretch before, and new ones to
    others in their order.
    """

    next_id: int
    _same: dict[int, int] = field(default_factory=dict)

    def begin(self, before: Sequence[FrameResult], early: Sequence[FrameResult]) -> None:
        """Forget the stretch before; `before` are its last frames under final ids, `early` the same
        frames in the next one.
        """
        self._same = {}
        known = {one.index: one for one in before}
        for one in reversed(early):
            if one.index in known:
                self._match(known[one.index], one)

    def _match(self, known: FrameResult, one: FrameResult) -> None:
        taken = set(self._same.values())
        pairs = sorted(
            (-iou(box, other), int(local), int(final))
            for box, local in zip(one.faces.box_xyxy, one.faces.track_id, strict=True)
            for other, final in zip(known.faces.box_xyxy, known.faces.track_id, strict=True)
        )
        for worse, local, final in pairs:
            if -worse >= _SAME_FACE and local not in self._same and final not in taken:
                self._same[local] = final
                taken.add(final)

    def of(self, local: IdArray) -> IdArray:
        """Final ids [N]."""
        for one in local.tolist():
            if one not in self._same:
                self._same[one], self.next_id = self.next_id, self.next_id + 1
        return np.array([self._same[one] for one in local.tolist()], np.int64)

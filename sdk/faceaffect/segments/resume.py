"""Resumes a source within: frames before the resume point are analyzed again as a warm-up.

The warm-up puts tracking, smoothing and the schedule of detections into the state of an unbroken
run, and its faces are matched with the rows, so that they keep their track ids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.segments.frame_result import FrameResult
from faceaffect.segments.plan import WARMUP_S
from faceaffect.segments.stitching import TrackIdMapper
from faceaffect.sinks.sink import WrittenFace
from faceaffect.types import Affect, Faces

_UNKNOWN_FPS: Final = 60.0
_UNKNOWN_AFFECT: Final = Affect(
    np.zeros((0, len(AU_NAMES)), np.float32),
    np.zeros((0, len(AU_NAMES)), np.bool_),
    np.zeros((0, len(EXPRESSION_NAMES)), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.float32),
)


def warmup_start(next_frame: int, fps: float | None, *, needs_history: bool) -> int:
    """Return the first frame to analyze again.

    Args:
        next_frame: First frame without rows.
        fps: Frame rate of the source.
        needs_history: Whether results depend on all frames before, not only on the last seconds.
    """
    if needs_history:
        return 0
    return max(0, next_frame - math.ceil(WARMUP_S * (fps or _UNKNOWN_FPS)))


def written_results(faces: Sequence[WrittenFace]) -> list[FrameResult]:
    """Return the frames of faces in rows; only numbers, times, boxes and track ids are known."""
    results = []
    for index, group in groupby(faces, key=lambda face: face.frame):
        row = list(group)
        count = len(row)
        results.append(
            FrameResult(
                index=index,
                time_s=row[0].time_s,
                seconds=0.0,
                faces=replace(
                    Faces(),
                    box_xyxy=np.array([face.box_xyxy for face in row], np.float32).reshape(-1, 4),
                    track_id=np.array([face.track_id for face in row], np.int64),
                    face_score=np.zeros(count, np.float32),
                ),
                affect=_UNKNOWN_AFFECT,
            )
        )
    return results


class ResumedTracks:
    """Gives the faces of a resumed run the track ids of an unbroken one."""

    def __init__(self, written: Sequence[WrittenFace], next_frame: int, next_track_id: int) -> None:
        """Begin the warm-up.

        Args:
            written: Faces in the rows of the warm-up frames.
            next_frame: First frame without rows, which ends the warm-up.
            next_track_id: Id of the first new face.
        """
        self._previous = written_results(written)
        self._next_frame = next_frame
        self._mapper = TrackIdMapper(next_track_id)
        self._warmup: list[FrameResult] = []
        self._is_started = False

    def is_warmup(self, index: int, time_s: float, faces: Faces) -> bool:
        """Return whether a frame has its rows already; it is then taken as a warm-up."""
        if index >= self._next_frame:
            return False
        self._warmup.append(FrameResult(index, time_s, 0.0, faces, _UNKNOWN_AFFECT))
        return True

    def renumber(self, faces: Faces) -> Faces:
        """Return the faces of a frame after the warm-up under their final ids."""
        if not self._is_started:
            self._is_started = True
            self._mapper.start_segment(self._previous, self._warmup)
            self._warmup = []
        return replace(faces, track_id=self._mapper.map(faces.track_id))

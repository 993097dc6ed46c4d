"""Labels over time: what annotation tools call tiers or behaviors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.summary.face_rows import FaceRows


class Interval(NamedTuple):
    """A label from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True, slots=True)
class LabelTrack:
    """Intervals of one face that do not overlap, in order of time.

    Attributes:
        face: Name of the face, such as `face 1`.
        name: An action unit, or `expression`.
        intervals: The bouts of the AU with the AU's name as label, or the expressions.
    """

    face: str
    name: str
    intervals: tuple[Interval, ...]

    @property
    def title(self) -> str:
        """Face and name, unique in a source."""
        return f"{self.face} {self.name}"


def label_tracks(faces: Sequence[FaceRows]) -> list[LabelTrack]:
    """Return the bouts of each AU and the expressions of the faces of one source.

    What a model does not predict has no track.
    """
    tracks = []
    for face in faces:
        name = f"face {face.track_id}"
        for au, au_name in enumerate(AU_NAMES):
            if np.isfinite(face.au_probability[:, au]).any():
                bouts = _intervals(face, face.runs(face.au_active[:, au]), [au_name])
                tracks.append(LabelTrack(name, au_name, bouts))
        if (face.expression >= 0).any():
            tracks.append(LabelTrack(name, "expression", expression_intervals(face)))
    return tracks


def expression_intervals(face: FaceRows) -> tuple[Interval, ...]:
    """Return when which expression is the most probable one."""
    found: list[Interval] = []
    for index, name in enumerate(EXPRESSION_NAMES):
        found += _intervals(face, face.runs(face.expression == index), [name])
    return tuple(sorted(found))


def duration_s(faces: Sequence[FaceRows]) -> float:
    """Return the end of the last row."""
    return max(float(face.time_s[-1] + face.duration_s()[-1]) for face in faces)


def frame_rate(faces: Sequence[FaceRows]) -> float:
    """Return the frame rate of the rows; 0 if each face has a single row."""
    longest = max(faces, key=len)
    return 1 / longest.frame_interval_s if longest.frame_interval_s else 0.0


def _intervals(
    face: FaceRows, runs: np.ndarray[tuple[int, ...], np.dtype[np.intp]], label: Sequence[str]
) -> tuple[Interval, ...]:
    duration = face.duration_s()
    return tuple(
        Interval(float(face.time_s[first]), float(face.time_s[last] + duration[last]), label[0])
        for first, last in runs.tolist()
    )

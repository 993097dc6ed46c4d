"""Rows that compare people, videos and groups on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from faceaffect.drawing.palette import EXPRESSION_COLORS
from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.track_stats import SourceStats, TrackKey, TrackStats

Person = tuple[str, str]
"""Name and group."""
_MIN_SPAN: Final = 0.005


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """Tracks of one person in one source, or of a group.

    Attributes:
        source: Index of the source; -1 for a group.
        name: Of the person or group.
        group: Of the person.
        frames: Number of rows.
        valence: Mean and standard deviation; None if unknown.
        arousal: The same.
        au_shares: Share [12] of the rows with each AU active; None where AUs are unknown.
        spans: Expressions with their shares, largest first.
    """

    source: int
    name: str
    group: str
    frames: int
    valence: tuple[float, float] | None
    arousal: tuple[float, float] | None
    au_shares: list[float] | None
    spans: list[dict[str, Any]]


def compare(sources: Sequence[SourceStats], people: Mapping[TrackKey, Person]) -> list[ComparedRow]:
    """Return a row per person and source, by group, those with the most rows first.

    Args:
        sources: Sources with their tracks.
        people: Names of faces; others are called by their number, and images are one row.
    """
    rows = []
    for index, source in enumerate(sources):
        members: dict[Person, list[TrackStats]] = {}
        for track in source.tracks.values():
            default = (f"face {track.key[2]}" if source.is_sequence else "all faces", "")
            members.setdefault(people.get(track.key, default), []).append(track)
        found = [_row(index, person, tracks) for person, tracks in members.items()]
        rows += sorted(found, key=lambda row: -row.frames)
    return sorted(rows, key=lambda row: row.group)


def compare_groups(
    sources: Sequence[SourceStats], people: Mapping[TrackKey, Person]
) -> list[ComparedRow]:
    """Return a row per group; every row of its members counts the same. None without groups."""
    members: dict[str, list[TrackStats]] = {}
    for source in sources:
        for track in source.tracks.values():
            if group := people.get(track.key, ("", ""))[1]:
                members.setdefault(group, []).append(track)
    return [_row(-1, (name, ""), tracks) for name, tracks in sorted(members.items())]


def moments_of(tracks: Sequence[TrackStats], name: str) -> tuple[float, float] | None:
    """Return mean and standard deviation of a column over all rows of tracks; None if unknown."""
    parts = [(one.mean(name), one.deviation(name), one.rows) for one in tracks]
    known = [part for part in parts if math.isfinite(part[0])]
    total = sum(rows for _, _, rows in known)
    if not total:
        return None
    mean = sum(mean * rows for mean, _, rows in known) / total
    square = sum((deviation**2 + value**2) * rows for value, deviation, rows in known) / total
    return mean, math.sqrt(max(square - mean**2, 0.0))


def _row(source: int, person: Person, tracks: Sequence[TrackStats]) -> ComparedRow:
    frames = sum(track.rows for track in tracks)
    has_aus = any(math.isfinite(track.mean(AU_NAMES[0])) for track in tracks)
    shares = np.sum([track.au_counts for track in tracks], axis=0) / max(frames, 1)
    return ComparedRow(
        source=source,
        name=person[0],
        group=person[1],
        frames=frames,
        valence=moments_of(tracks, "valence"),
        arousal=moments_of(tracks, "arousal"),
        au_shares=shares.tolist() if has_aus else None,
        spans=expression_spans(tracks),
    )


def expression_spans(tracks: Sequence[TrackStats]) -> list[dict[str, Any]]:
    """Return name, share and color of each expression, the most frequent first."""
    counts = np.sum([track.expression_counts for track in tracks], axis=0)
    total = max(int(counts.sum()), 1)
    return [
        {
            "name": EXPRESSION_NAMES[k],
            "share": float(counts[k] / total),
            "color": EXPRESSION_COLORS[k],
        }
        for k in np.argsort(-counts, kind="stable").tolist()
        if counts[k] / total >= _MIN_SPAN
    ]

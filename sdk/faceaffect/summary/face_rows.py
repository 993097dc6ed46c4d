"""All rows of one face in one source, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.report.read_rows import (
    AU_COLUMNS,
    COLUMN_INDEX,
    RowChunk,
    read_rows,
)
from faceaffect.report.track_stats import group_by_track

MAX_GAP_S: Final = 0.5
"""Rows of a face that are further apart are not continuous: what is between is unknown."""

_ARRAY_NAMES: Final = ("frame", "time_s", "numbers", "au_active", "expression")


@dataclass(frozen=True, slots=True)
class FaceRows:
    """Rows of one track, N of them.

    Attributes:
        source: The video, or the folder of unrelated images as `folder/*`.
        track_id: Number of the face; of unrelated images -1, which stands for all their faces.
        frame: Numbers of the frames [N].
        time_s: Their times [N].
        numbers: Cells [N, 30] in the order of `read_rows.NUMBER_NAMES`.
        au_active: Decisions [N, 12].
        expression: Index [N] of the most probable expression; -1 if none is predicted.
        is_sequence: False for unrelated images, which have neither duration nor bouts.
    """

    source: str
    track_id: int
    frame: NDArray[np.int64]
    time_s: NDArray[np.float64]
    numbers: NDArray[np.float64]
    au_active: NDArray[np.bool_]
    expression: NDArray[np.int64]
    is_sequence: bool = True

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return a number column [N]."""
        return self.numbers[:, COLUMN_INDEX[name]]

    @property
    def au_probability(self) -> NDArray[np.float64]:
        """Probabilities [N, 12]."""
        return self.numbers[:, AU_COLUMNS]

    @property
    def frame_interval_s(self) -> float:
        """Median time between adjacent rows; 0 for a single row."""
        gaps = np.diff(self.time_s)
        gaps = gaps[gaps > 0]
        return float(np.median(gaps)) if len(gaps) else 0.0

    def starts_part(self) -> NDArray[np.bool_]:
        """Whether each row [N] is the first after a gap of more than `MAX_GAP_S`."""
        is_first = np.ones(len(self), np.bool_)
        gap_s = np.diff(self.time_s)
        is_first[1:] = (gap_s > max(MAX_GAP_S, 3 * self.frame_interval_s)) | (gap_s < 0)
        return is_first

    def duration_s(self) -> NDArray[np.float64]:
        """Time [N] that each row stands for: until the next one, or a frame before a gap."""
        duration_s = np.full(len(self), self.frame_interval_s)
        gap_s = np.diff(self.time_s)
        duration_s[:-1] = np.where(self.starts_part()[1:], duration_s[:-1], gap_s)
        return duration_s

    def runs(self, is_on: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return first and last row [K, 2] of each uninterrupted run of `is_on` [N]."""
        part = self.starts_part()
        before = np.r_[False, is_on[:-1]] & ~part
        after = np.r_[is_on[1:], False] & ~np.r_[part[1:], True]
        first = np.flatnonzero(is_on & ~before)
        last = np.flatnonzero(is_on & ~after)
        return np.stack([first, last], axis=1)


def read_faces(path: Path, notes: list[str]) -> list[FaceRows]:
    """Read every face in a file of rows, in order of its first row.

    Args:
        path: File of rows (.csv, .jsonl or .parquet).
        notes: Receives remarks of the reader.

    Raises:
        ReportError: The file cannot be read.
    """
    parts: dict[tuple[str, int], list[tuple[RowChunk, NDArray[np.int64]]]] = {}
    for chunk in read_rows(path, notes):
        for (_, source, track_id), rows in group_by_track(chunk, 0):
            parts.setdefault((source, track_id), []).append((chunk, rows))
    faces = [_joined(source, track_id, part) for (source, track_id), part in parts.items()]
    return list(merge_images(faces))


def merge_images(faces: Sequence[FaceRows]) -> Iterator[FaceRows]:
    """Yield `faces`, those of unrelated images joined into one per folder."""
    folders: dict[str, list[FaceRows]] = {}
    for face in faces:
        folders.setdefault(face.source, []).append(face)
    for source, members in folders.items():
        if Path(source).name == "*" and all(len(face) == 1 for face in members):  # of `source_name`
            yield joined_images(source, members)
        else:
            yield from members


def joined_images(source: str, members: Sequence[FaceRows]) -> FaceRows:
    """Join the faces of unrelated images into one `FaceRows` named `source`."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in members]) for name in _ARRAY_NAMES
    }
    return FaceRows(source, -1, **arrays, is_sequence=False)


def _joined(
    source: str, track_id: int, parts: Sequence[tuple[RowChunk, NDArray[np.int64]]]
) -> FaceRows:
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(chunk, name)[rows] for chunk, rows in parts])
        for name in _ARRAY_NAMES
    }
    return FaceRows(source, track_id, **arrays)

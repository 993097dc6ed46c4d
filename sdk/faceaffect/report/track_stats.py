"""What files of rows hold, counted in one pass: about a kilobyte for each track, however long the
videos are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import NUMBER_NAMES, PLACE, RowChunk, read_chunks
from faceaffect.sources.image_files import is_image

Key = tuple[int, str, int]
"""A track: number of the row file, name of its source, track id. Ids begin again in every file."""


@dataclass(slots=True)
class TrackTally:
    key: Key
    rows: int = 0
    first_s: float = np.inf
    last_s: float = -np.inf
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(NUMBER_NAMES)))
    known: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(NUMBER_NAMES), np.int64))
    au_active: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(AU_NAMES), np.int64))
    expressions: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(EXPRESSION_NAMES), np.int64)
    )
    best_quality: float = -np.inf
    best: tuple[str, int, float, tuple[float, ...]] = ("", 0, 0.0, ())
    """File, frame, time_s and box of the row of the highest quality."""

    @property
    def seen_s(self) -> float:
        """From the first to the last row."""
        return max(self.last_s - self.first_s, 0.0)

    @property
    def step_s(self) -> float:
        """Mean time from row to row; 0 for a single one."""
        return self.seen_s / (self.rows - 1) if self.rows > 1 else 0.0

    def mean(self, name: str) -> float:
        """NaN where it is not known of any row."""
        place = PLACE[name]
        return float(self.sums[place] / self.known[place]) if self.known[place] else float("nan")

    def add(self, chunk: RowChunk, rows: NDArray[np.int64]) -> None:
        numbers, times = chunk.numbers[rows], chunk.time_s[rows]
        self.rows += len(rows)
        self.first_s, self.last_s = (
            min(self.first_s, float(times.min())),
            max(self.last_s, float(times.max())),
        )
        self.sums += np.nansum(numbers, axis=0)
        self.known += np.isfinite(numbers).sum(axis=0)
        self.au_active += chunk.au_active[rows].sum(axis=0)
        shown = chunk.expression[rows]
        self.expressions += np.bincount(shown[shown >= 0], minlength=len(EXPRESSION_NAMES))
        quality = np.nan_to_num(numbers[:, PLACE["quality"]], nan=-1.0)
        at = int(quality.argmax())
        if quality[at] > self.best_quality:
            self.best_quality = float(quality[at])
            row, box = (
                int(rows[at]),
                tuple(numbers[at, PLACE["box_x1"] : PLACE["box_y2"] + 1].tolist()),
            )
            self.best = (chunk.source[row], int(chunk.frame[row]), float(chunk.time_s[row]), box)


@dataclass(slots=True)
class SourceTally:
    """A video, or all images of one folder."""

    name: str
    is_images: bool
    rows: int = 0
    frames: int = 0
    """Those with a face: rows know of no others."""
    last_frame: int = -1
    tracks: dict[int, TrackTally] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name, of a single image the image's."""
        files = {track.best[0] for track in self.tracks.values()}
        return files.pop() if len(files) == 1 and self.frames == 1 else self.name

    @property
    def is_sequence(self) -> bool:
        """Whether its frames follow each other in time: images do where a face is followed from one
        to the next.
        """
        return not self.is_images or any(track.rows > 1 for track in self.tracks.values())

    @property
    def first_s(self) -> float:
        return min(track.first_s for track in self.tracks.values())

    @property
    def last_s(self) -> float:
        return max(track.last_s for track in self.tracks.values())


def tally(files: Sequence[Path], notes: list[str]) -> list[SourceTally]:
    """Every source of the files, in their order. Raises ReportError."""
    sources: dict[tuple[int, str], SourceTally] = {}
    for number, path in enumerate(files):
        for chunk in read_chunks(path, notes):
            for key, rows in grouped(chunk, number):
                source = sources.setdefault(
                    key[:2], SourceTally(key[1], is_image(Path(chunk.source[int(rows[0])])))
                )
                source.tracks.setdefault(key[2], TrackTally(key)).add(chunk, rows)
            _count_frames(sources, chunk, number)
    return list(sources.values())


def grouped(chunk: RowChunk, file_number: int) -> Iterator[tuple[Key, NDArray[np.int64]]]:
    """The rows of each track in a chunk, in their order."""
    names = {
        name: place for place, name in enumerate(dict.fromkeys(map(source_name, chunk.source)))
    }
    source = np.array([names[source_name(name)] for name in chunk.source], np.int64)
    order = np.lexsort((chunk.track_id, source))  # stable: rows of a track stay in order
    is_new = (np.diff(source[order]) != 0) | (np.diff(chunk.track_id[order]) != 0)
    listed = list(names)
    for rows in np.split(order, np.flatnonzero(is_new) + 1):
        yield (file_number, listed[int(source[rows[0]])], int(chunk.track_id[rows[0]])), rows


@lru_cache(maxsize=1024)  # rows of one file stand together
def source_name(file: str) -> str:
    """What a row's file belongs to: itself, or the folder where it is an image."""
    path = Path(file)
    return str(path.parent / "*") if is_image(path) else file


def _count_frames(
    sources: dict[tuple[int, str], SourceTally], chunk: RowChunk, file_number: int
) -> None:
    """Rows of one frame stand together."""
    for file, frame in zip(chunk.source, chunk.frame.tolist(), strict=True):
        source = sources[file_number, source_name(file)]
        source.rows += 1
        if frame != source.last_frame:
            source.frames, source.last_frame = source.frames + 1, frame

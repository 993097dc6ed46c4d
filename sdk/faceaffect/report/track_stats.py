"""Statistics of every track in files of rows, collected in one pass.

Memory is about a kilobyte per track, however long the videos are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import COLUMN_INDEX, NUMBER_NAMES, RowChunk, read_rows
from faceaffect.sinks.side_car import read_side_car
from faceaffect.sources.image_files import is_image

TrackKey = tuple[int, str, int]
"""Index of the row file, name of the source, track id. Ids start again in every file."""


class BestRow(NamedTuple):
    """The row of a track with the highest quality."""

    file: str = ""
    frame: int = 0
    time_s: float = 0.0
    box_xyxy: tuple[float, ...] = ()


@dataclass(slots=True)
class TrackStats:
    """Sums and counts over the rows of one track."""

    key: TrackKey
    rows: int = 0
    first_s: float = np.inf
    last_s: float = -np.inf
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(NUMBER_NAMES)))
    square_sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(NUMBER_NAMES)))
    valid_counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(NUMBER_NAMES), np.int64)
    )
    au_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(AU_NAMES), np.int64))
    expression_counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(EXPRESSION_NAMES), np.int64)
    )
    best_quality: float = -np.inf
    best: BestRow = field(default_factory=BestRow)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last row."""
        return max(self.last_s - self.first_s, 0.0)

    @property
    def row_interval_s(self) -> float:
        """Mean time between rows; 0 for a single row."""
        return self.duration_s / (self.rows - 1) if self.rows > 1 else 0.0

    def mean(self, name: str) -> float:
        """Mean of a column; NaN if no row has a value."""
        index = COLUMN_INDEX[name]
        count = self.valid_counts[index]
        return float(self.sums[index] / count) if count else float("nan")

    def deviation(self, name: str) -> float:
        """Standard deviation of a column over its rows; NaN if no row has a value."""
        index = COLUMN_INDEX[name]
        count = self.valid_counts[index]
        if not count:
            return float("nan")
        variance = self.square_sums[index] / count - (self.sums[index] / count) ** 2
        return float(np.sqrt(max(variance, 0.0)))

    def add(self, chunk: RowChunk, rows: NDArray[np.int64]) -> None:
        """Add the rows of a chunk with these indices."""
        numbers = chunk.numbers[rows]
        times_s = chunk.time_s[rows]
        self.rows += len(rows)
        self.first_s = min(self.first_s, float(times_s.min()))
        self.last_s = max(self.last_s, float(times_s.max()))
        self.sums += np.nansum(numbers, axis=0)
        self.square_sums += np.nansum(numbers**2, axis=0)
        self.valid_counts += np.isfinite(numbers).sum(axis=0)
        self.au_counts += chunk.au_active[rows].sum(axis=0)
        expression = chunk.expression[rows]
        self.expression_counts += np.bincount(
            expression[expression >= 0], minlength=len(EXPRESSION_NAMES)
        )
        quality = np.nan_to_num(numbers[:, COLUMN_INDEX["quality"]], nan=-1.0)
        best = int(quality.argmax())
        if quality[best] > self.best_quality:
            self.best_quality = float(quality[best])
            row = int(rows[best])
            box = numbers[best, COLUMN_INDEX["box_x1"] : COLUMN_INDEX["box_y2"] + 1]
            self.best = BestRow(
                chunk.source[row],
                int(chunk.frame[row]),
                float(chunk.time_s[row]),
                tuple(box.tolist()),
            )


@dataclass(slots=True)
class SourceStats:
    """Statistics of a video, or of all images of one folder.

    `frames` counts frames with a face: there are no rows of others. `all_frames` counts the others
    as well, `duration_s` is their time; None where the rows have no side-car.
    """

    name: str
    is_images: bool
    rows: int = 0
    frames: int = 0
    last_frame: int = -1
    tracks: dict[int, TrackStats] = field(default_factory=dict)
    all_frames: int | None = None
    duration_s: float | None = None

    @property
    def frames_text(self) -> str:
        """Number of frames with a face, and of how many if that is known."""
        return (
            str(self.frames) if self.all_frames is None else f"{self.frames} of {self.all_frames}"
        )

    @property
    def title(self) -> str:
        """The name of the source; of a single image, the image's."""
        files = {track.best.file for track in self.tracks.values()}
        return files.pop() if len(files) == 1 and self.frames == 1 else self.name

    @property
    def is_sequence(self) -> bool:
        """Whether frames are ordered in time: images are if a face is tracked across them."""
        return not self.is_images or any(track.rows > 1 for track in self.tracks.values())

    @property
    def first_s(self) -> float:
        """Time of the first row."""
        return min(track.first_s for track in self.tracks.values())

    @property
    def last_s(self) -> float:
        """Time of the last row."""
        return max(track.last_s for track in self.tracks.values())

    @property
    def start_s(self) -> float:
        """Time at which the source starts; of the first row if that is not known."""
        return self.first_s if self.duration_s is None else min(0.0, self.first_s)

    @property
    def end_s(self) -> float:
        """Time at which the source ends; of the last row if that is not known."""
        return max(self.last_s, self.duration_s or 0.0)


def collect_stats(files: Sequence[Path], notes: list[str]) -> list[SourceStats]:
    """Collect the statistics of every source, in the order of the files.

    Args:
        files: Files of rows.
        notes: Receives what a reader of the statistics must know.

    Raises:
        ReportError: A file cannot be read.
    """
    sources: dict[tuple[int, str], SourceStats] = {}
    for file_index, path in enumerate(files):
        for chunk in read_rows(path, notes):
            for key, rows in group_by_track(chunk, file_index):
                source = sources.setdefault(
                    key[:2], SourceStats(key[1], is_image(Path(chunk.source[int(rows[0])])))
                )
                source.tracks.setdefault(key[2], TrackStats(key)).add(chunk, rows)
            _count_frames(sources, chunk, file_index)
        _add_side_car(sources, path, file_index)
    return list(sources.values())


def _add_side_car(sources: dict[tuple[int, str], SourceStats], path: Path, file_index: int) -> None:
    """Add the numbers of frames without a face, and the sources in which there was none."""
    side_car = read_side_car(path)
    for facts in () if side_car is None else side_car.sources:
        is_folder = not facts.is_sequence and not is_image(Path(facts.source))
        name = str(Path(facts.source) / "*") if is_folder else source_name(facts.source)
        source = sources.get((file_index, name))
        if source is not None:
            source.all_frames = (source.all_frames or 0) + facts.frames
            if facts.is_sequence and facts.fps:
                source.duration_s = source.all_frames / facts.fps


def group_by_track(
    chunk: RowChunk, file_index: int
) -> Iterator[tuple[TrackKey, NDArray[np.int64]]]:
    """Yield the indices of each track's rows in a chunk, in row order."""
    names = list(dict.fromkeys(map(source_name, chunk.source)))
    name_index = {name: index for index, name in enumerate(names)}
    source = np.array([name_index[source_name(file)] for file in chunk.source], np.int64)
    order = np.lexsort((chunk.track_id, source))  # stable: keeps the order of a track's rows
    is_new = (np.diff(source[order]) != 0) | (np.diff(chunk.track_id[order]) != 0)
    for rows in np.split(order, np.flatnonzero(is_new) + 1):
        yield (file_index, names[int(source[rows[0]])], int(chunk.track_id[rows[0]])), rows


@lru_cache(maxsize=1024)  # rows of one file are adjacent
def source_name(file: str) -> str:
    """Return the source that a row's file belongs to: itself, or the folder of an image."""
    path = Path(file)
    return str(path.parent / "*") if is_image(path) else file


def _count_frames(
    sources: dict[tuple[int, str], SourceStats], chunk: RowChunk, file_index: int
) -> None:
    """Count rows and frames; rows of one frame are adjacent."""
    for file, frame in zip(chunk.source, chunk.frame.tolist(), strict=True):
        source = sources[file_index, source_name(file)]
        source.rows += 1
        if frame != source.last_frame:
            source.frames += 1
            source.last_frame = frame

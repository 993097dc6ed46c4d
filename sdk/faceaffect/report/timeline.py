"""Time series of selected tracks, downsampled to bins with mean, minimum and maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import NUMBER_NAMES, RowChunk, read_rows
from faceaffect.report.track_stats import TrackKey, TrackStats, group_by_track

MAX_BINS: Final = 2000  # of one track: a pixel each on a wide screen
MIN_BINS: Final = 30
TOTAL_BINS: Final = 40_000  # of all tracks: about 3 MB of the page
_MAX_GAP_S: Final = 0.5
_MAX_HOLD_INTERVALS: Final = 3.0  # a longer time between rows is a gap in the track


@dataclass(slots=True)
class Timeline:
    """Values of one track over S bins.

    A track of few rows has one bin per row, a longer one bins of equal duration. A bin without rows
    has count 0 and NaN.
    """

    time_s: NDArray[np.float64]  # [S], middle of each bin
    count: NDArray[np.int64]  # [S], rows in each bin
    mean: NDArray[np.float64]  # [S, 30], order of NUMBER_NAMES
    minimum: NDArray[np.float64]  # [S, 30]
    maximum: NDArray[np.float64]  # [S, 30]
    au_active: NDArray[np.float64]  # [S, 12], fraction of rows
    expression_s: NDArray[np.float64]  # [7], time for which each was the most probable one
    bin_s: float
    """Width of a bin; with one bin per row, the mean time between rows."""
    is_binned: bool

    @property
    def gap_s(self) -> float:
        """Longest time between bins with rows that is no gap in the track."""
        return max(_MAX_GAP_S, _MAX_HOLD_INTERVALS * self.bin_s)


class _TimelineBuilder:
    """Accumulates the rows of one track."""

    def __init__(self, track: TrackStats, max_bins: int) -> None:
        self._track = track
        self._rows_added = 0
        self._max_bins = max_bins
        self._is_binned = track.rows > max_bins
        bins = max_bins if self._is_binned else track.rows
        columns = len(NUMBER_NAMES)
        self._count = np.zeros(bins, np.int64)
        self._times_s = np.zeros(bins)
        self._sums = np.zeros((bins, columns))
        self._valid_counts = np.zeros((bins, columns))
        self._minimum = np.full((bins, columns), np.inf)
        self._maximum = np.full((bins, columns), -np.inf)
        self._au_counts = np.zeros((bins, len(AU_NAMES)))
        self._expression_s = np.zeros(len(EXPRESSION_NAMES))
        self._previous_s = track.first_s - track.row_interval_s

    def add(self, chunk: RowChunk, rows: NDArray[np.int64]) -> None:
        """Add the rows of a chunk with these indices."""
        times_s = chunk.time_s[rows]
        numbers = chunk.numbers[rows]
        bins = self._bin_indices(times_s)
        self._rows_added += len(rows)
        order = np.argsort(bins, kind="stable")
        begins = np.flatnonzero(np.diff(bins[order], prepend=-1))
        bins, numbers = bins[order][begins], numbers[order]  # each bin once
        active = chunk.au_active[rows][order].astype(np.float64)
        self._count[bins] += np.diff(begins, append=len(rows))
        self._times_s[bins] += np.add.reduceat(times_s[order], begins)
        self._sums[bins] += np.add.reduceat(np.nan_to_num(numbers), begins)
        self._valid_counts[bins] += np.add.reduceat(np.isfinite(numbers).astype(np.float64), begins)
        self._minimum[bins] = np.fmin(self._minimum[bins], np.fmin.reduceat(numbers, begins))
        self._maximum[bins] = np.fmax(self._maximum[bins], np.fmax.reduceat(numbers, begins))
        self._au_counts[bins] += np.add.reduceat(active, begins)
        max_hold_s = _MAX_HOLD_INTERVALS * self._track.row_interval_s
        held_s = np.clip(np.diff(times_s, prepend=self._previous_s), 0, max_hold_s)
        self._previous_s = float(times_s[-1])
        expression = chunk.expression[rows]
        is_known = expression >= 0
        np.add.at(self._expression_s, expression[is_known], held_s[is_known])

    def _bin_indices(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        if not self._is_binned:
            # Rows appended to the file after they were counted go into the last bin.
            rows = np.arange(self._rows_added, self._rows_added + len(times_s))
            return np.minimum(rows, len(self._count) - 1)
        fraction = (times_s - self._track.first_s) / max(self._track.duration_s, 1e-9)
        return np.clip(fraction * self._max_bins, 0, self._max_bins - 1).astype(np.int64)

    def build(self) -> Timeline:
        """Return the timeline of all rows added."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sums / self._valid_counts
            au_active = self._au_counts / self._count[:, None]
        width_s = self._track.duration_s / self._max_bins
        middles_s = np.asarray(
            self._track.first_s + (np.arange(len(self._count)) + 0.5) * width_s, np.float64
        )
        is_unknown = self._valid_counts == 0
        return Timeline(
            time_s=middles_s if self._is_binned else self._times_s,
            count=self._count,
            mean=mean,
            minimum=np.where(is_unknown, np.nan, self._minimum),
            maximum=np.where(is_unknown, np.nan, self._maximum),
            au_active=au_active,
            expression_s=self._expression_s,
            bin_s=width_s if self._is_binned else self._track.row_interval_s,
            is_binned=self._is_binned,
        )


def read_timelines(files: Sequence[Path], tracks: Sequence[TrackStats]) -> dict[TrackKey, Timeline]:
    """Read the timelines of selected tracks in a second pass over the files."""
    max_bins = min(MAX_BINS, max(MIN_BINS, TOTAL_BINS // max(len(tracks), 1)))
    builders = {track.key: _TimelineBuilder(track, max_bins) for track in tracks}
    for file_index, path in enumerate(files) if builders else ():
        for chunk in read_rows(path, []):
            for key, rows in group_by_track(chunk, file_index):
                if key in builders:
                    builders[key].add(chunk, rows)
    return {key: builder.build() for key, builder in builders.items()}

"""What chosen tracks show over time, in at most a few hundred steps each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from faceaffect.report.read_rows import NUMBER_NAMES, RowChunk, read_chunks
from faceaffect.report.track_stats import Key, TrackTally, grouped

MOST_STEPS: Final = 400  # two pixels each in the drawing
_LONGEST_HOLD: Final = (
    3.0  # times the mean step: what is longer is a gap, in which nobody saw the face
)


@dataclass(slots=True)
class Timeline:
    """A track with few rows has a step per row; a longer one steps of equal time, each with mean,
    least and most of its rows.

    A step without rows has count 0 and NaN.
    """

    time_s: NDArray[np.float64]  # [S], the middle of each step
    count: NDArray[np.int64]  # [S]
    mean: NDArray[np.float64]  # [S, 30], order of NUMBER_NAMES
    least: NDArray[np.float64]  # [S, 30]
    most: NDArray[np.float64]  # [S, 30]
    au_active: NDArray[np.float64]  # [S, 12], share of rows
    expression_s: NDArray[np.float64]  # [7], time for which each was the most probable one
    step_s: float
    """Width of a step; with a step per row the mean distance of rows."""
    is_binned: bool


class _Filled:
    """Sums of a track on their way to its timeline."""

    def __init__(self, track: TrackTally) -> None:
        self._track, self._seen = track, 0
        self._is_binned = track.rows > MOST_STEPS
        steps, width = (MOST_STEPS if self._is_binned else track.rows), len(NUMBER_NAMES)
        self._count, self._times = np.zeros(steps, np.int64), np.zeros(steps)
        self._sums, self._known = np.zeros((steps, width)), np.zeros((steps, width))
        self._least, self._most = np.full((steps, width), np.inf), np.full((steps, width), -np.inf)
        self._au_on, self._expression_s = (
            np.zeros((steps, len(AU_NAMES))),
            np.zeros(len(EXPRESSION_NAMES)),
        )
        self._before_s = track.first_s - track.step_s

    def add(self, chunk: RowChunk, rows: NDArray[np.int64]) -> None:
        times, numbers = chunk.time_s[rows], chunk.numbers[rows]
        steps = self._steps(times)
        self._seen += len(rows)
        np.add.at(self._count, steps, 1)
        np.add.at(self._times, steps, times)
        np.add.at(self._sums, steps, np.nan_to_num(numbers))
        np.add.at(self._known, steps, np.isfinite(numbers))
        np.fmin.at(self._least, steps, numbers)
        np.fmax.at(self._most, steps, numbers)
        np.add.at(self._au_on, steps, chunk.au_active[rows])
        held_s = np.clip(
            np.diff(times, prepend=self._before_s), 0, _LONGEST_HOLD * self._track.step_s
        )
        self._before_s = float(times[-1])
        shown = chunk.expression[rows]
        np.add.at(self._expression_s, shown[shown >= 0], held_s[shown >= 0])

    def _steps(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        if not self._is_binned:
            # A file that grew since it was counted: its new rows end up in the last step.
            return np.minimum(np.arange(self._seen, self._seen + len(times)), len(self._count) - 1)
        share = (times - self._track.first_s) / max(self._track.seen_s, 1e-9)
        return np.clip(share * MOST_STEPS, 0, MOST_STEPS - 1).astype(np.int64)

    def timeline(self) -> Timeline:
        count = self._count[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, au_active = self._sums / self._known, self._au_on / count
        width_s = self._track.seen_s / MOST_STEPS
        middles = np.asarray(
            self._track.first_s + (np.arange(len(self._count)) + 0.5) * width_s, np.float64
        )
        unknown = self._known == 0
        return Timeline(
            time_s=middles if self._is_binned else self._times,
            count=self._count,
            mean=mean,
            least=np.where(unknown, np.nan, self._least),
            most=np.where(unknown, np.nan, self._most),
            au_active=au_active,
            expression_s=self._expression_s,
            step_s=width_s if self._is_binned else self._track.step_s,
            is_binned=self._is_binned,
        )


def read_timelines(files: Sequence[Path], tracks: Sequence[TrackTally]) -> dict[Key, Timeline]:
    """The timelines of the chosen tracks, in one more pass over the files."""
    filled = {track.key: _Filled(track) for track in tracks}
    for number, path in enumerate(files) if filled else ():
        for chunk in read_chunks(path, []):
            for key, rows in grouped(chunk, number):
                if key in filled:
                    filled[key].add(chunk, rows)
    return {key: one.timeline() for key, one in filled.items()}

"""Fewer rows: neighboring frames are near-duplicates, and some classes have far too many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import FrameTable, Rows


def every_nth(table: FrameTable, rows: Rows, n: int, shift: int = 0) -> Rows:
    """Every n-th of the rows within each video, in the order of frames, starting at place `shift`
    modulo n.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rows = np.asarray(rows, np.int64)
    order = rows[np.lexsort((table.frame[rows], table.video[rows]))]
    videos = table.video[order]
    first = np.searchsorted(videos, videos, side="left")
    return np.asarray(order[(np.arange(len(order)) - first) % n == shift % n])


@dataclass(frozen=True, slots=True, eq=False)
class EpochSubsample:
    """A share of the rows, another one every epoch: a row source for the samplers. After n epochs
    all had their turn.
    """

    table: FrameTable
    rows: Rows
    n: int
    seed: int = 0

    def __call__(self, epoch: int) -> NDArray[np.int64]:
        turn, place = divmod(epoch, self.n)
        shift = np.random.default_rng([self.seed, turn]).permutation(self.n)[place]
        kept = every_nth(self.table, self.rows, self.n, int(shift))
        # Where all videos are shorter than that place, there would be nothing to train on in this
        # epoch.
        return kept if len(kept) else every_nth(self.table, self.rows, self.n)

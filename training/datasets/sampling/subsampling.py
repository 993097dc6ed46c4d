"""Temporal subsampling of rows, since neighboring frames are near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import FrameTable, Rows


def every_nth(table: FrameTable, rows: Rows, n: int, shift: int = 0) -> Rows:
    """One in n rows of each video, ordered by frame, starting at index `shift` modulo n."""
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rows = np.asarray(rows, np.int64)
    order = rows[np.lexsort((table.frame[rows], table.video[rows]))]
    videos = table.video[order]
    first = np.searchsorted(videos, videos, side="left")
    return np.asarray(order[(np.arange(len(order)) - first) % n == shift % n])


def keep_one_in(table: FrameTable, rows: Rows, divisors: Sequence[int], seed: int = 0) -> Rows:
    """Rows of which only one in `divisors[k]`, drawn at random, is kept for expression k (M8).

    Rows without an expression are kept.
    """
    rows = np.asarray(rows, np.int64)
    random = np.random.default_rng(seed)
    is_kept = np.ones(len(rows), bool)
    for expression, divisor in enumerate(divisors):
        of = np.flatnonzero((table.expression[rows] == expression) & table.expression_mask[rows])
        is_kept[random.permutation(of)[-(-len(of) // divisor) :]] = False
    return rows[is_kept]


@dataclass(frozen=True, slots=True, eq=False)
class EpochSubsample:
    """Row source of every n-th row, with another offset each epoch; n epochs cover all rows."""

    table: FrameTable
    rows: Rows
    n: int
    seed: int = 0

    def __call__(self, epoch: int) -> NDArray[np.int64]:
        cycle, position = divmod(epoch, self.n)
        shift = np.random.default_rng([self.seed, cycle]).permutation(self.n)[position]
        kept = every_nth(self.table, self.rows, self.n, int(shift))
        # If all videos are shorter than the offset, the epoch would be empty.
        return kept if len(kept) else every_nth(self.table, self.rows, self.n)

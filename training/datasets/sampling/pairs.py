"""Pairs of frames of one video whose labels differ, for learning to rank (M7)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import FrameTable, Rows


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows of both sides and the order of their labels."""

    first: NDArray[np.int64]  # [C]
    second: NDArray[np.int64]  # [C]
    order: NDArray[np.float32]  # [C] +1 where the second is higher, else -1

    def __len__(self) -> int:
        return len(self.first)


def draw_pairs(
    values: NDArray[np.float32],
    videos: NDArray[np.int32],
    rows: Rows,
    count: int,
    random: np.random.Generator,
) -> Pairs:
    """Draw pairs: a pair of labels uniformly, then a video that has both, then a frame of each.

    Args:
        values: labels [N] of the whole table: 0 and 1, or intensities.
        videos: video of each row [N].
        rows: the rows to draw from, all labeled.
        count: pairs to draw.
        random: the source of chance; sides are exchanged by chance too.

    Raises:
        ValueError: no video has two different labels.
    """
    places = _places(values, videos, rows)
    by_pair = {
        pair: [video for video, labels in places.items() if pair[0] in labels and pair[1] in labels]
        for pair in combinations(sorted({float(v) for v in values[rows]}), 2)
    }
    by_pair = {pair: found for pair, found in by_pair.items() if found}
    if not by_pair:
        raise ValueError(
            f"no video has frames of different labels among {len(rows)} rows: there is no pair to learn from"
        )
    names = list(by_pair)
    low, high = np.empty(count, np.int64), np.empty(count, np.int64)
    for k in range(count):
        pair = names[int(random.integers(len(names)))]
        video = by_pair[pair][int(random.integers(len(by_pair[pair])))]
        low[k], high[k] = (random.choice(places[video][label]) for label in pair)
    is_up = random.random(count) < 0.5
    return Pairs(
        np.where(is_up, low, high), np.where(is_up, high, low), np.where(is_up, 1, -1).astype(np.float32)
    )  # fmt: skip


def au_pairs(
    table: FrameTable,
    column: int,
    count: int,
    random: np.random.Generator,
    *,
    rows: Rows | None = None,
) -> Pairs:
    """Pairs for one AU: by intensity where a source has it, else by presence; rows without a crop
    are never drawn.

    A video is taken by intensity or by presence as a whole, so both sides of a pair are on one
    scale.
    """
    values = table.au[:, column].copy()
    known = table.au_mask[:, column] & table.has_crop
    if rows is not None:
        within = np.zeros(len(table), bool)
        within[rows] = True
        known &= within
    if table.au_intensity is not None:
        intensity = table.au_intensity[:, column]
        graded = known & np.isfinite(intensity)
        is_graded = np.zeros(len(table.videos), bool)
        is_graded[table.video[graded]] = True
        values[graded] = intensity[graded]
        known &= graded | ~is_graded[table.video]
    return draw_pairs(values, table.video, np.flatnonzero(known), count, random)


def _places(
    values: NDArray[np.float32], videos: NDArray[np.int32], rows: Rows
) -> dict[int, dict[float, NDArray[np.int64]]]:
    """Rows by video and label."""
    rows = np.asarray(rows, np.int64)
    order = rows[np.lexsort((values[rows], videos[rows]))]
    if not len(order):
        return {}
    is_cut = (np.diff(videos[order]) != 0) | (np.diff(values[order]) != 0)
    places: dict[int, dict[float, NDArray[np.int64]]] = {}
    for group in np.split(order, np.flatnonzero(is_cut) + 1):
        places.setdefault(int(videos[group[0]]), {})[float(values[group[0]])] = group
    return places

"""Pairs of frames of one video with different labels, for learning to rank (M7)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import FrameTable, Rows


def draw_pairs(
    values: NDArray[np.float32],
    videos: NDArray[np.int32],
    rows: Rows,
    count: int,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw pairs [count, 2]: uniformly two labels, then a video with both, then a frame of each.

    Args:
        values: labels [N] of all rows of the table: 0 and 1, or intensities.
        videos: video of each row [N].
        rows: the rows to draw from, all labeled.
        count: pairs to draw.
        random: random numbers; the order within a pair is random, too.

    Raises:
        ValueError: no video has two different labels.
    """
    rows_of = _rows_by_video_and_label(values, videos, rows)
    by_pair = {
        pair: [
            video for video, labels in rows_of.items() if pair[0] in labels and pair[1] in labels
        ]
        for pair in combinations(sorted({float(v) for v in values[rows]}), 2)
    }
    by_pair = {pair: with_both for pair, with_both in by_pair.items() if with_both}
    if not by_pair:
        raise ValueError(
            f"no video has frames of different labels among {len(rows)} rows; "
            "there is no pair to learn from"
        )
    label_pairs = list(by_pair)
    pairs = np.empty((count, 2), np.int64)  # lower label, higher label
    for k in range(count):
        pair = label_pairs[int(random.integers(len(label_pairs)))]
        video = by_pair[pair][int(random.integers(len(by_pair[pair])))]
        pairs[k] = [random.choice(rows_of[video][label]) for label in pair]
    is_up = random.random(count) < 0.5
    return np.where(is_up[:, None], pairs, pairs[:, ::-1])


def au_pairs(
    table: FrameTable, column: int, count: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Pairs [count, 2] of rows with a crop for an AU: by intensity where annotated, or presence.

    A video uses either intensity or presence, so both labels of a pair are on one scale.
    """
    values = table.au[:, column].copy()
    known = table.au_mask[:, column] & table.has_crop
    if table.au_intensity is not None:
        intensity = table.au_intensity[:, column]
        graded = known & np.isfinite(intensity)
        is_graded = np.zeros(len(table.videos), bool)
        is_graded[table.video[graded]] = True
        values[graded] = intensity[graded]
        known &= graded | ~is_graded[table.video]
    return draw_pairs(values, table.video, np.flatnonzero(known), count, random)


def _rows_by_video_and_label(
    values: NDArray[np.float32], videos: NDArray[np.int32], rows: Rows
) -> dict[int, dict[float, NDArray[np.int64]]]:
    """Rows by video and label."""
    rows = np.asarray(rows, np.int64)
    order = rows[np.lexsort((values[rows], videos[rows]))]
    if not len(order):
        return {}
    is_boundary = (np.diff(videos[order]) != 0) | (np.diff(values[order]) != 0)
    rows_of: dict[int, dict[float, NDArray[np.int64]]] = {}
    for group in np.split(order, np.flatnonzero(is_boundary) + 1):
        rows_of.setdefault(int(videos[group[0]]), {})[float(values[group[0]])] = group
    return rows_of

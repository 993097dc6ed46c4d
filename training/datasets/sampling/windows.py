"""Stretches of frames of one video: windows for sequence models, clips that end at a frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import FrameTable, Rows

NO_FRAME = -1


def windows(
    table: FrameTable,
    rows: Rows,
    length: int,
    stride: int,
    *,
    drop_gaps: bool = False,
    include_tail: bool = False,
    pad_short: bool = False,
    random: np.random.Generator | None = None,
) -> NDArray[np.int64]:
    """Windows [W, length] of rows that follow each other in their video.

    Args:
        table, rows: the rows to draw from, in any order.
        length, stride: of the windows, in rows.
        drop_gaps: a window holds consecutive frame numbers only (M8); else rows follow each
        other over gaps (M2).
        include_tail: a last window over the last `length` rows where the stride leaves some
        out.
        pad_short: a stretch shorter than a window gives one all the same, its last row
        repeated.
        random: draws the start of each stretch from 0 to stride - 1, anew with each call (an
        epoch's other windows).
    """
    if length < 1 or stride < 1:
        raise ValueError(f"length and stride must be at least 1, got {length} and {stride}")
    found: list[NDArray[np.int64]] = []
    for stretch in _stretches(table, rows, drop_gaps):
        count = len(stretch)
        if count < length:
            if pad_short:
                found.append(np.concatenate([stretch, np.full(length - count, stretch[-1])])[None])
            continue
        start = 0 if random is None else int(random.integers(0, min(stride, count - length + 1)))
        starts = np.arange(start, count - length + 1, stride)
        if include_tail and starts[-1] != count - length:
            starts = np.append(starts, count - length)
        found.append(stretch[starts[:, None] + np.arange(length)])
    return np.concatenate(found) if found else np.zeros((0, length), np.int64)


def covering_windows(
    table: FrameTable, rows: Rows, length: int, *, drop_gaps: bool = False
) -> NDArray[np.int64]:
    """Windows [W, length] for prediction: side by side, the last one reaching back, every row in at
    least one.
    """
    return windows(
        table, rows, length, length, drop_gaps=drop_gaps, include_tail=True, pad_short=True
    )


def first_occurrences(places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where in windows [W, L] each row occurs for the first time: its one prediction, when windows
    overlap.
    """
    first = np.zeros(places.size, bool)
    values, at = np.unique(places.ravel(), return_index=True)
    first[at[values != NO_FRAME]] = True
    return first.reshape(places.shape)


def clips_ending_at(
    table: FrameTable,
    ends: Rows,
    length: int = 8,
    step: int = 6,
    *,
    count_by: Literal["frame", "row"] = "frame",
) -> NDArray[np.int64]:
    """Clips [N, length] of rows t - (length - 1) step, ..., t - step, t for each end t; causal.

    A frame before the video's start, or without a row or a crop, is NO_FRAME (a black image).

    Args:
        table: rows with a crop can be in a clip, whatever their labels.
        ends: the rows that clips end at.
        count_by: "frame" counts true frame numbers; "row" counts crops that are there, as
        M5's code does.
    """
    usable = np.flatnonzero(table.has_crop)
    order = usable[np.lexsort((table.frame[usable], table.video[usable]))]
    back = np.arange(length - 1, -1, -1) * step
    if not len(order) or not len(ends):
        return np.full((len(ends), length), NO_FRAME)
    if count_by == "frame":
        keys = _key(table.video[order], table.frame[order])
        expected = _key(table.video[ends][:, None], table.frame[ends][:, None] - back)
        at = np.minimum(np.searchsorted(keys, expected), len(keys) - 1)
        is_there = (keys[at] == expected) & (table.frame[ends][:, None] - back >= 0)
    else:
        place = np.full(len(table), -1, np.int64)
        place[order] = np.arange(len(order))
        if (place[ends] < 0).any():
            raise ValueError("a clip can only end at a row with a crop when rows are counted")
        at = np.maximum(place[ends][:, None] - back, 0)
        same = table.video[order][at] == table.video[ends][:, None]
        is_there = same & (place[ends][:, None] - back >= 0)
    return np.where(is_there, order[at], NO_FRAME)


def _key(video: NDArray[np.int32], frame: NDArray[np.int32]) -> NDArray[np.int64]:
    return video.astype(np.int64) * (1 << 32) + frame.astype(np.int64)


def _stretches(table: FrameTable, rows: Rows, drop_gaps: bool) -> Iterator[NDArray[np.int64]]:
    """Rows by video and frame, cut at the ends of videos and, if expected, at gaps."""
    rows = np.unique(np.asarray(rows, np.int64))
    if not len(rows):
        return
    order = rows[np.lexsort((table.frame[rows], table.video[rows]))]
    is_cut = np.diff(table.video[order]) != 0
    if drop_gaps:
        is_cut |= np.diff(table.frame[order]) != 1
    yield from np.split(order, np.flatnonzero(is_cut) + 1)

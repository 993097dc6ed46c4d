"""Sequences of frames of one video: windows for sequence models, clips that end at a frame."""

from __future__ import annotations

from collections.abc import Iterator

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
    """Windows [W, length] of successive rows of a video.

    Args:
        table: table of the rows.
        rows: the rows to draw from, in any order.
        length: rows per window.
        stride: rows between the starts of two windows.
        drop_gaps: windows have consecutive frame numbers only (M8); otherwise they span gaps (M2).
        include_tail: add a window over the last `length` rows if the stride leaves some out.
        pad_short: a segment shorter than a window yields one that repeats its last row.
        random: draws the first start in each segment from 0 to stride - 1; None starts at 0.
    """
    if length < 1 or stride < 1:
        raise ValueError(f"length and stride must be at least 1, got {length} and {stride}")
    result: list[NDArray[np.int64]] = []
    for segment in _segments(table, rows, drop_gaps):
        count = len(segment)
        if count < length:
            if pad_short:
                result.append(np.concatenate([segment, np.full(length - count, segment[-1])])[None])
            continue
        start = 0 if random is None else int(random.integers(0, min(stride, count - length + 1)))
        starts = np.arange(start, count - length + 1, stride)
        if include_tail and starts[-1] != count - length:
            starts = np.append(starts, count - length)
        result.append(segment[starts[:, None] + np.arange(length)])
    return np.concatenate(result) if result else np.zeros((0, length), np.int64)


def covering_windows(
    table: FrameTable, rows: Rows, length: int, *, drop_gaps: bool = False
) -> NDArray[np.int64]:
    """Windows [W, length] that cover every row, for prediction; only the last one overlaps."""
    return windows(
        table, rows, length, length, drop_gaps=drop_gaps, include_tail=True, pad_short=True
    )


def first_occurrences(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """First occurrence of each row in windows [W, L], to keep one prediction per row."""
    is_first = np.zeros(rows.size, bool)
    values, index = np.unique(rows.ravel(), return_index=True)
    is_first[index[values != NO_FRAME]] = True
    return is_first.reshape(rows.shape)


def clips_ending_at(
    table: FrameTable,
    ends: Rows,
    length: int = 8,
    step: int = 6,
) -> NDArray[np.int64]:
    """Causal clips [N, length] of crops t - (length - 1) step, ..., t - step, t for each end t.

    Existing crops are counted, as M5's code does. What is before the start of the video is NO_FRAME
    (a black image).

    Args:
        table: rows with a crop can be in a clip, with any labels.
        ends: last rows of the clips, all with a crop.
        length: crops per clip.
        step: distance between the crops of a clip.
    """
    usable = np.flatnonzero(table.has_crop)
    order = usable[np.lexsort((table.frame[usable], table.video[usable]))]
    back = np.arange(length - 1, -1, -1) * step
    if not len(order) or not len(ends):
        return np.full((len(ends), length), NO_FRAME)
    position = np.full(len(table), -1, np.int64)
    position[order] = np.arange(len(order))
    if (position[ends] < 0).any():
        raise ValueError("a clip can only end at a row with a crop")
    at = np.maximum(position[ends][:, None] - back, 0)
    is_same_video = table.video[order][at] == table.video[ends][:, None]
    is_present = is_same_video & (position[ends][:, None] - back >= 0)
    return np.where(is_present, order[at], NO_FRAME)


def _segments(table: FrameTable, rows: Rows, drop_gaps: bool) -> Iterator[NDArray[np.int64]]:
    """Rows ordered by video and frame, split at video boundaries and, optionally, at gaps."""
    rows = np.unique(np.asarray(rows, np.int64))
    if not len(rows):
        return
    order = rows[np.lexsort((table.frame[rows], table.video[rows]))]
    is_boundary = np.diff(table.video[order]) != 0
    if drop_gaps:
        is_boundary |= np.diff(table.frame[order]) != 1
    yield from np.split(order, np.flatnonzero(is_boundary) + 1)

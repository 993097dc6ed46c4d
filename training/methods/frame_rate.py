"""Selects the frames that a network with memory runs on, as the SDK does for `input_fps` of
`spec.json`.
"""

from __future__ import annotations

import math
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import FrameTable

_ROUNDING_S: Final = 1e-3  # containers stamp frames to the millisecond


def subsample_to_fps(
    table: FrameTable, rows: NDArray[np.int64], input_fps: float | None
) -> NDArray[np.int64]:
    """The first of each video's `rows` (in order of video and frame), then at most `input_fps` per
    second.

    All rows for None, and of videos whose times (`audio_offset_s`) are unknown, with a warning.
    """
    if input_fps is None:
        return rows
    if not (math.isfinite(input_fps) and input_fps > 0):
        raise ValueError(f"input_fps must be a number above 0, got {input_fps}")
    untimed = np.unique(table.video[rows[~np.isfinite(table.audio_offset_s[rows])]])
    if len(untimed):
        warnings.warn(
            f"the frame times of {len(untimed)} videos are unknown, such as "
            f"{table.videos[untimed[0]]}; all their frames are used instead of {input_fps:g} per "
            "second",
            stacklevel=3,
        )
    step_s = 1 / input_fps
    kept = np.ones(len(rows), bool)
    video, due_s = -1, -math.inf
    for index, row in enumerate(rows.tolist()):
        if int(table.video[row]) in untimed:
            continue
        time_s = float(table.audio_offset_s[row])
        if table.video[row] != video:
            video, due_s = table.video[row], time_s
        kept[index] = time_s >= due_s - _ROUNDING_S
        if kept[index]:
            due_s = max(due_s + step_s, time_s)
    return rows[kept]

"""Which frames a network with memory is read on where it keeps to a pace, as the SDK keeps to
`input_fps` of `spec.json`.
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
    """Those of `rows`, in order of video and frame, that are read: a video's first one, then at
    most `input_fps` a second.

    None reads them all. So does a video whose times (`audio_offset_s`) are not known, which a
    warning says. ValueError for a pace that is no positive number.
    """
    if input_fps is None:
        return rows
    if not (math.isfinite(input_fps) and input_fps > 0):
        raise ValueError(f"a pace is a number of frames a second above 0, got {input_fps}")
    untimed = np.unique(table.video[rows[~np.isfinite(table.audio_offset_s[rows])]])
    if len(untimed):
        warnings.warn(
            f"the frame times of {len(untimed)} videos are not known, such as {table.videos[untimed[0]]}; "
            f"all of their frames are read, not {input_fps:g} a second",
            stacklevel=3,
        )
    step_s, kept = 1 / input_fps, np.ones(len(rows), bool)
    video, due_s = -1, -math.inf
    for place, row in enumerate(rows.tolist()):
        if int(table.video[row]) in untimed:
            continue
        time_s = float(table.audio_offset_s[row])
        if table.video[row] != video:
            video, due_s = table.video[row], time_s
        kept[place] = time_s >= due_s - _ROUNDING_S
        if kept[place]:
            due_s = max(due_s + step_s, time_s)
    return rows[kept]

"""What is evaluated against: every frame of every video, with whatever the annotators said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.datasets.frame_table import TASKS as DATA_TASKS
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

TASKS: Final = tuple(f"{task}_Set" for task in DATA_TASKS)
"""The three tasks, in order, by the names of their folders in Aff-Wild2."""


@dataclass(frozen=True, slots=True)
class LabelTable:
    """N frames, video after video; a video's frames stand in order, from 1 to its last, without a
    gap.

    Labels carry the codes of the files of Aff-Wild2: AU -1, expression -1 and valence/arousal -5
    say "not labeled".
    """

    videos: tuple[str, ...]  # names as in the label files, `_left` and `_right` included
    video: NDArray[np.int64]  # [N] position in `videos`, never falling
    frame: NDArray[np.int64]  # [N] number of the frame, from 1
    crop: tuple[str | None, ...]  # [N] path of the aligned crop, None where there is none
    au: NDArray[np.int8]  # [N, 12] 1, 0, -1
    expression: NDArray[np.int8]  # [N] 0 .. 6, -1
    va: NDArray[np.float32]  # [N, 2] in [-1, 1], -5
    listed: dict[str, frozenset[str]]  # task -> videos that a submission for it holds
    notes: tuple[str, ...] = ()  # sentences on what of the labels is not judged, and why

    def __post_init__(self) -> None:
        count = len(self.frame)
        shapes = {
            "video": (count,),
            "au": (count, len(AU_NAMES)),
            "expression": (count,),
            "va": (count, 2),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"label table: {name} must have shape {shape}, got {getattr(self, name).shape}"
                )
        if len(self.crop) != count:
            raise ValueError(f"label table: crop must have {count} entries, got {len(self.crop)}")
        is_next = (np.diff(self.video) == 0) & (np.diff(self.frame) == 1)
        is_first = (np.diff(self.video) > 0) & (self.frame[1:] == 1)
        if count and not (self.frame[0] == 1 and (is_next | is_first).all()):
            raise ValueError("label table: frames must run from 1 without gaps, video after video")

    def __len__(self) -> int:
        return len(self.frame)

    def rows_of(self, video: int) -> slice:
        """The rows of `videos[video]`."""
        start, end = np.searchsorted(self.video, [video, video + 1])
        return slice(int(start), int(end))

    def row_index(self, video: NDArray[np.int64], frame: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows [M] of frames by position of their video and number; -1 where the table has no such
        frame.
        """
        start = np.searchsorted(self.video, np.arange(len(self.videos) + 1))
        row = start[video] + frame - 1
        return np.where((frame >= 1) & (row < start[video + 1]), row, -1)


def unlabeled(count: int) -> dict[str, Any]:
    """Label arrays of `count` frames of which nothing is known, to be filled in."""
    return {
        "au": np.full((count, len(AU_NAMES)), AU_UNLABELED, np.int8),
        "expression": np.full(count, EXPRESSION_UNLABELED, np.int8),
        "va": np.full((count, 2), VA_UNLABELED, np.float32),
    }

"""Labels of every frame of every video, the reference of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from faceaffect.labels import AU_NAMES
from training.datasets.frame_table import TASKS as DATA_TASKS
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

TASKS: Final = tuple(f"{task}_Set" for task in DATA_TASKS)
"""Folder names of the three tasks in Aff-Wild2, in order."""


@dataclass(frozen=True, slots=True)
class LabelTable:
    """Labels of N frames, grouped by video; frames run from 1 to the last one without gaps.

    Unlabeled values have the codes of Aff-Wild2: AU -1, expression -1, valence and arousal -5.
    """

    videos: tuple[str, ...]  # names as in the label files, `_left` and `_right` included
    video: NDArray[np.int64]  # [N] index into `videos`, non-decreasing
    frame: NDArray[np.int64]  # [N] frame number, from 1
    crop: tuple[str | None, ...]  # [N] path of the aligned crop, or None
    au: NDArray[np.int8]  # [N, 12] 1, 0, -1
    expression: NDArray[np.int8]  # [N] 0 .. 6, 7 for the class Other if it was read, -1
    va: NDArray[np.float32]  # [N, 2] in [-1, 1], -5
    listed: dict[str, frozenset[str]]  # task -> videos of a submission for it
    notes: tuple[str, ...] = ()  # labels that are not evaluated, and why

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
                    f"expected {name} of shape {shape}, got {getattr(self, name).shape}"
                )
        if len(self.crop) != count:
            raise ValueError(f"expected {count} crops, got {len(self.crop)}")
        is_next = (np.diff(self.video) == 0) & (np.diff(self.frame) == 1)
        is_first = (np.diff(self.video) > 0) & (self.frame[1:] == 1)
        if count and not (self.frame[0] == 1 and (is_next | is_first).all()):
            raise ValueError("expected frames of each video to run from 1 without gaps")

    def __len__(self) -> int:
        return len(self.frame)

    def rows_of(self, video: int) -> slice:
        """Returns the rows of `videos[video]`."""
        start, end = np.searchsorted(self.video, [video, video + 1])
        return slice(int(start), int(end))

    def row_index(self, video: NDArray[np.int64], frame: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the rows [M] of frames by video index and number; -1 for unknown frames."""
        start = np.searchsorted(self.video, np.arange(len(self.videos) + 1))
        row = start[video] + frame - 1
        return np.where((frame >= 1) & (row < start[video + 1]), row, -1)


def unlabeled(count: int) -> dict[str, Any]:
    """Returns label arrays of `count` unlabeled frames."""
    return {
        "au": np.full((count, len(AU_NAMES)), AU_UNLABELED, np.int8),
        "expression": np.full(count, EXPRESSION_UNLABELED, np.int8),
        "va": np.full((count, 2), VA_UNLABELED, np.float32),
    }

"""Loads Aff-Wild2 for evaluation: every frame of every listed video, without gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from faceaffect.labels import AU_NAMES
from faceaffect.system.import_opencv import import_opencv
from training.datasets.affwild2 import read_affwild2
from training.datasets.affwild2_layout import MAX_FRAMES, NO_FRAME_NUMBER
from training.datasets.affwild2_rows import OTHER_CLASS
from training.datasets.broken_data import BrokenDatasetError
from training.datasets.frame_table import SPLITS as DATA_SPLITS
from training.datasets.frame_table import FrameTable
from training.evaluation.label_table import TASKS, LabelTable, unlabeled
from training.metrics import AU_UNLABELED, EXPRESSION_UNLABELED, VA_UNLABELED

SPLITS: Final = {
    "training": ("train",),
    "validation": ("validation",),
    "all": ("train", "validation"),
    "test": (),
}
"""Evaluation splits and the splits of the data set whose labels they have; `test` has none, and
only the videos of the test lists.
"""

_MAX_ERRORS_SHOWN: Final = 20


class LabelError(ValueError):
    """Error for unreadable labels, with file, line, expected and actual content."""


def load_labels(
    folder: Path,
    split: str = "validation",
    *,
    annotations: str | None = None,
    progress: bool = True,
    other: bool = False,
) -> LabelTable:
    """Loads the frames of all videos in a split of any task or in a test list.

    The labels of a task are those of this split only: a video can be in the training set of one
    task and in the validation set of another. The number of frames of a video is that of its file,
    or the largest number among labels and crops if that is larger.

    Args:
        folder: Copy of Aff-Wild2.
        split: One of `SPLITS`.
        annotations: Annotation folder, if the copy has those of several years.
        progress: Whether to show a progress bar.
        other: Whether the class Other of ABAW3 and later is read as class 7; else it is masked.

    Raises:
        LabelError: The labels cannot be read.
    """
    if split not in SPLITS:
        raise LabelError(f"expected split to be one of {', '.join(SPLITS)}, got {split!r}")
    try:
        table = read_affwild2(
            folder,
            annotations=annotations,
            splits=SPLITS[split],
            timing=False,
            progress=progress,
            other=other,
        )
    except BrokenDatasetError as error:
        more = len(error.broken) - _MAX_ERRORS_SHOWN
        lines = [str(broken) for broken in error.broken[:_MAX_ERRORS_SHOWN]]
        lines += [f"... and {more} more"] if more > 0 else []
        raise LabelError("\n".join(lines)) from None
    except (OSError, ValueError) as error:
        raise LabelError(str(error)) from None
    if split == "test":
        is_listed = (table.splits == DATA_SPLITS.index("test")).any(axis=1)
        if not is_listed.any():
            raise LabelError(
                f"{folder} has no test list; expected test_set_AU_Challenge.txt or alike"
            )
        table = table.select(np.flatnonzero(is_listed[table.video]))
    return _without_gaps(table)


def _without_gaps(table: FrameTable) -> LabelTable:
    """Returns a label table with all frames, including those without rows in the frame table."""
    count = len(table.videos)
    length = np.array(
        [0 if not file else _frame_count(table.root / file) for file in table.media], np.int64
    )
    np.maximum.at(length, table.video, table.frame)
    start = np.cumsum(length) - length
    row = start[table.video] + table.frame - 1
    labels = unlabeled(int(length.sum()))
    labels["au"][row] = np.where(table.au_mask, table.au, AU_UNLABELED)
    labels["expression"][row] = np.where(
        table.expression_mask, table.expression, EXPRESSION_UNLABELED
    )
    labels["va"][row] = np.where(table.va_mask[:, None], table.va, VA_UNLABELED)
    crop: list[str | None] = [None] * int(length.sum())
    for index, name in zip(row.tolist(), table.path.to_pylist(), strict=True):
        crop[index] = None if name is None else str(table.root / name)
    video = np.repeat(np.arange(count), length)
    return LabelTable(
        videos=table.videos,
        video=video,
        frame=np.arange(1, len(video) + 1) - start[video],
        crop=tuple(crop),
        listed={task: _listed(table, column) for column, task in enumerate(TASKS)},
        notes=_notes(table),
        **labels,
    )


def _listed(table: FrameTable, task: int) -> frozenset[str]:
    """Returns the videos of the loaded split or of a test list of the task."""
    return frozenset(
        name for name, split in zip(table.videos, table.splits[:, task], strict=True) if split
    )


def _notes(table: FrameTable) -> tuple[str, ...]:
    notes = []
    known = np.asarray(table.au_mask.any(axis=0))
    if known.any() and not known.all():
        missing = ", ".join(
            name for name, is_known in zip(AU_NAMES, known, strict=True) if not is_known
        )
        notes.append(f"AU labels are those of ABAW1, without {missing}: these are not evaluated.")
    if other := table.report.skipped.get(OTHER_CLASS):
        notes.append(
            f"{other.count} frames are of the class Other (ABAW3 and later), which is none of the "
            "seven: they are not evaluated. Scores and submissions are those of ABAW2."
        )
    if invalid := table.report.skipped.get(NO_FRAME_NUMBER):
        notes.append(
            f"{invalid.count} files among the crops were skipped: {NO_FRAME_NUMBER}: "
            f"{', '.join(invalid.examples)}."
        )
    return tuple(notes)


def _frame_count(video: Path) -> int:
    """Returns the frame count in the header of a video file; 0 if unknown."""
    cv2 = import_opencv()
    capture = cv2.VideoCapture(str(video))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    capture.release()
    return count if 0 < count <= MAX_FRAMES else 0

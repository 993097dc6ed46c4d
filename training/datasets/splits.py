"""Training rows of datasets in which a video is in different splits for different tasks.

In Aff-Wild2 a video of the EXPR training set may be in the VA validation set. A model that
learns both and is selected by its VA score must not train on such a video at all, neither with
its VA labels nor with its EXPR labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.datasets.frame_table import SPLITS, TASKS, FrameTable, Task

_HELD_OUT = (SPLITS.index("validation"), SPLITS.index("test"))
_TRAIN = SPLITS.index("train")


def training_view(
    table: FrameTable, tasks: Sequence[Task], selected_on: Sequence[Task] | None = None
) -> FrameTable:
    """Select the rows that may be used to train `tasks`, with held-out labels masked.

    The view has the rows with a crop whose group (source video or person) is in the validation or
    test split of no task of `selected_on`. Labels of a task are kept only for videos in the
    training split of that task; rows without labels stay as unlabeled images.

    Args:
        table: output of a reader.
        tasks: the tasks that are learned.
        selected_on: the tasks whose validation score selects the model; None for all of `tasks`.
    """
    selection_tasks = tuple(tasks if selected_on is None else selected_on)
    for task in (*tasks, *selection_tasks):
        if task not in TASKS:
            raise ValueError(f"expected a task, one of {', '.join(TASKS)}, got {task!r}")
    columns = [TASKS.index(task) for task in selection_tasks]
    held_out = np.asarray(np.isin(table.splits[:, columns], _HELD_OUT).any(axis=1))
    excluded = {group for group, is_out in zip(table.groups, held_out, strict=True) if is_out}
    is_allowed = np.array([group not in excluded for group in table.groups], bool)
    view = table.select(np.flatnonzero(is_allowed[table.video] & table.has_crop))
    is_labeled = (view.splits == _TRAIN)[view.video] & [task in tasks for task in TASKS]
    return view.keep_labels(is_labeled)


@dataclass(frozen=True, slots=True)
class Fold:
    """Fold `number` (from 1) of `count`: its groups are validated on, all others trained on."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 2 or not 1 <= self.number <= self.count:
            raise ValueError(f"expected a fold such as 1/5, got {self}")

    @classmethod
    def parse(cls, text: str) -> Fold:
        """A fold written as NUMBER/COUNT."""
        number, _, count = text.partition("/")
        if not (number.isdigit() and count.isdigit()):
            raise ValueError(f"expected a fold such as 1/5, got {text!r}")
        return cls(int(number), int(count))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def with_fold(table: FrameTable, fold: Fold) -> FrameTable:
    """The table with its training and validation videos split anew by group (people, source
    videos), the same for all tasks; test videos stay.

    Raises:
        ValueError: there are fewer groups than folds.
    """
    has_labels = np.isin(table.splits, (_TRAIN, SPLITS.index("validation")))
    groups = np.array(table.groups)
    names = np.unique(groups[has_labels.any(axis=1)])
    if len(names) < fold.count:
        raise ValueError(f"{fold.count} folds need as many people or videos, got {len(names)}")
    order = np.random.default_rng(fold.count).permutation(len(names))
    held = set(names[order[fold.number - 1 :: fold.count]].tolist())
    is_held = np.array([group in held for group in groups])
    split = np.where(is_held, SPLITS.index("validation"), _TRAIN)[:, None]
    return replace(table, splits=np.where(has_labels, split, table.splits).astype(np.int8))

"""Which rows a task may be trained on, when a video can be in another split for each task.

In Aff-Wild2 a video of the EXPR training set may be in the VA validation set. A model that
learns both and is chosen by its VA score must not see such a video at all: not its VA labels,
and not its images with EXPR labels either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.datasets.frame_table import SPLITS, TASKS, FrameTable, Rows, Task

_HELD_OUT = (SPLITS.index("validation"), SPLITS.index("test"))
_TRAIN = SPLITS.index("train")


def training_view(
    table: FrameTable, tasks: Sequence[Task], selected_on: Sequence[Task] | None = None
) -> FrameTable:
    """The rows that may be trained on for `tasks`, with every mask off that must stay unseen.

    Kept are rows with a crop whose group (source video or person) is in the validation or test
    split of no task of `selected_on`. Of those, only labels of `tasks` whose video is in the
    training split of that very task stay on; rows without any such label stay too, as images
    without labels. Draw from `view.rows(task)` or `labeled_rows(view)`.

    Args:
        table: whatever a reader gave.
        tasks: the tasks that are learned.
        selected_on: the tasks whose validation score chooses the model; None for all of `tasks`.
    """
    chosen = tuple(tasks if selected_on is None else selected_on)
    for task in (*tasks, *chosen):
        if task not in TASKS:
            raise ValueError(f"a task is one of {', '.join(TASKS)}, got {task!r}")
    columns = [TASKS.index(task) for task in chosen]
    held_out = np.asarray(np.isin(table.splits[:, columns], _HELD_OUT).any(axis=1))
    refused = {group for group, out in zip(table.groups, held_out, strict=True) if out}
    allowed = np.array([group not in refused for group in table.groups], bool)
    view = table.select(np.flatnonzero(allowed[table.video] & table.has_crop))
    on = {
        task: (task in tasks) & (view.splits[:, k] == _TRAIN)[view.video]
        for k, task in enumerate(TASKS)
    }
    return replace(
        view,
        au_mask=view.au_mask & on["AU"][:, None],
        expression_mask=view.expression_mask & on["EXPR"],
        va_mask=view.va_mask & on["VA"],
        au=np.where(on["AU"][:, None], view.au, 0),
        expression=np.where(on["EXPR"], view.expression, 0).astype(np.int8),
        va=np.where(on["VA"][:, None], view.va, 0),
    )


def labeled_rows(table: FrameTable) -> Rows:
    """Rows with a label of any task."""
    return np.flatnonzero(table.masks.any(axis=1))


def with_group_split(
    table: FrameTable, validation_fraction: float = 0.1, seed: int = 0
) -> FrameTable:
    """The table with a split for sets that come without one: whole groups, by a hash of the group's
    name.

    The same group falls on the same side whatever else is in the table, for all tasks alike.
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(
            f"validation_fraction must be from 0 to below 1, got {validation_fraction}"
        )
    codes = np.array([_side(group, validation_fraction, seed) for group in table.groups], np.int8)
    return replace(table, splits=np.repeat(codes[:, None], len(TASKS), axis=1))


def _side(group: str, validation_fraction: float, seed: int) -> int:
    place = int(hashlib.sha256(f"{seed}/{group}".encode()).hexdigest()[:12], 16) / 16**12
    return SPLITS.index("validation") if place < validation_fraction else _TRAIN

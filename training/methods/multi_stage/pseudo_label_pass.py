"""M6: a pyramid for each task, whose predictions fill in the labels that frames lack; then one
pyramid on all of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.datasets.frame_table import FrameTable, Task
from training.datasets.targets.pseudo_labels import Predictions, fill_labels
from training.methods.data import MethodData
from training.methods.recipe import Recipe
from training.methods.scores import method_predictions
from training.methods.train_method import train_method
from training.models.stages import MethodNet

SINGLE_SHARE: Final = 4
"""The public code takes a quarter of the batches in each epoch of a single-task model."""

_LABELS: dict[Task, str] = {"AU": "au", "EXPR": "expression", "VA": "va"}


def train_on_pseudo_labels(
    recipe: Recipe, data: MethodData, folder: Path, *, steps: int | None = None, **options: Any
) -> MethodNet:
    """Hard labels as published: the best expression, AU p > 0.5, valence and arousal within +-0.99;
    true labels stay.

    Frames that lack a task's label get that of the task's own model; a task nobody is labeled
    for stays empty. The single-task models take a quarter of the joint one's steps, as many
    epochs over a quarter of the frames each.
    """
    said: dict[str, Any] = {}
    before = {**options, "after_epoch": None}
    lacking = np.flatnonzero(~data.train.masks.all(axis=1) & data.train.has_crop)
    single_steps = None if steps is None else max(1, steps // SINGLE_SHARE)
    for task, label in _LABELS.items():
        if not data.train.labeled(task).any() or not len(lacking):
            continue
        own_losses = tuple(term for term in recipe.losses if term.label == label)
        thinned = replace(
            recipe.sampling, every=recipe.sampling.every * (1 if steps else SINGLE_SHARE)
        )
        single = replace(recipe, losses=own_losses, targets="ignore", sampling=thinned)
        own = replace(data, train=alone(data.train, task))
        net = train_method(single, own, folder / f"single_{label}", steps=single_steps, **before)
        said[label] = getattr(
            method_predictions(net, single, data.train.select(lacking), data), label
        )
    filled = fill_labels(data.train, Predictions(lacking, **said)).table if said else data.train
    return train_method(
        replace(recipe, targets="ignore"),
        replace(data, train=filled),
        folder,
        steps=steps,
        **options,
    )


def alone(table: FrameTable, task: Task) -> FrameTable:
    """The rows that are labeled for a task, with no other label."""
    view = table.select(table.rows(task))
    return replace(
        view,
        au_mask=view.au_mask & (task == "AU"),
        expression_mask=view.expression_mask & (task == "EXPR"),
        va_mask=view.va_mask & (task == "VA"),
    )

"""M6: a pyramid for each task predicts the labels that frames lack; then one pyramid learns all of
them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from training.datasets.frame_table import TASKS, FrameTable, Task
from training.engine.trainer import TrainerConfig
from training.methods.batch_builder import LABELS
from training.methods.data import MethodData
from training.methods.multi_stage.fill_labels import fill_labels
from training.methods.predict import method_predictions
from training.methods.recipe import MethodRecipe
from training.methods.train_method import train_method
from training.models.stages import MethodNet


def single_task_recipe(recipe: MethodRecipe, task: Task) -> MethodRecipe:
    """The recipe with the losses of one task only."""
    losses = tuple(term for term in recipe.losses if term.label == LABELS[task])
    return replace(recipe, losses=losses)


def first_stage_recipe(recipe: MethodRecipe) -> MethodRecipe:
    """The recipe with the optimizer, batch and epochs of its first stage, if these differ."""
    stage = recipe.first_stage
    if stage is None:
        return recipe
    sampling = replace(recipe.sampling, every=stage.every)
    optimizer, batch, epochs = stage.optimizer, stage.batch, stage.epochs
    return replace(recipe, optimizer=optimizer, batch=batch, epochs=epochs, sampling=sampling)


def single_task_table(table: FrameTable, task: Task, *, labeled_only: bool = False) -> FrameTable:
    """The table with the labels of one task only, with all rows or the labeled ones."""
    view = table.select(table.rows(task)) if labeled_only else table
    return view.keep_labels(np.array([task == each for each in TASKS]))


def train_on_pseudo_labels(
    recipe: MethodRecipe,
    data: MethodData,
    config: TrainerConfig,
) -> MethodNet:
    """Hard labels as published: the best expression, AU p > 0.5, valence and arousal within +-0.99;
    true labels are kept.

    Frames that lack a task's label get the prediction of the task's own model; a task without any
    label stays empty. The single-task models are trained as `recipe.first_stage` says, each chosen
    by the validation score of its own task.
    """
    predictions: dict[str, Any] = {}
    lacking = np.flatnonzero(~data.train.masks.all(axis=1) & data.train.has_crop)
    for task, label in LABELS.items():
        if not data.train.labeled(task).any() or not len(lacking):
            continue
        single = replace(first_stage_recipe(single_task_recipe(recipe, task)), targets="ignore")
        net = train_method(
            single,
            replace(
                data,
                train=single_task_table(data.train, task, labeled_only=True),
                validation=single_task_table(data.validation, task),
            ),
            replace(config, folder=config.folder / f"single_{label}"),
        )
        predicted = method_predictions(net, single, data.train.select(lacking), data)
        predictions[label] = getattr(predicted, label)
    return train_method(
        replace(recipe, targets="ignore"),
        replace(data, train=fill_labels(data.train, lacking, predictions)),
        config,
    )

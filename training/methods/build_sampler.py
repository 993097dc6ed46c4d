"""Builds the sampler of a recipe over the rows of a training table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import TASKS, FrameTable, Task
from training.datasets.sampling.label_samplers import (
    AlternatingSampler,
    CurriculumSampler,
    MixedSampler,
    PerTaskSampler,
    SemiSupervisedSampler,
    TaskRows,
)
from training.datasets.sampling.sample_weights import (
    class_and_va_balanced_weights,
    class_balanced_weights,
    va_balanced_weights,
)
from training.datasets.sampling.step import RowSource, Sampler
from training.datasets.sampling.subsampling import EpochSubsample, every_nth
from training.datasets.sampling.windows import clips_ending_at, windows
from training.methods.batch_builder import LABELS, InputSpec
from training.methods.recipe import MethodRecipe

_ALL: Final = "all"
_UNLABELED: Final = "unlabeled"


def recipe_tasks(recipe: MethodRecipe) -> tuple[Task, ...]:
    """The tasks whose labels a recipe's losses use."""
    labels = {term.label for term in recipe.losses}
    return tuple(task for task in TASKS if LABELS[task] in labels)


def batch_size(recipe: MethodRecipe, form: InputSpec) -> int:
    """Samples in a batch."""
    return (form.form == "windows" and recipe.sampling.windows) or recipe.batch


def build_sampler(recipe: MethodRecipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    """Sampler of rows (frames), or of rows [B, T] (windows, clips).

    A task without labeled rows is left out with a warning; ValueError if no task is left. For
    `pairs` see `PairSampler`.
    """
    tasks = recipe_tasks(recipe)
    has_rows = np.asarray(_labeled(table, tasks).any(axis=0)).tolist()
    absent = [task for task, has in zip(tasks, has_rows, strict=True) if not has]
    if len(absent) == len(tasks):
        raise ValueError(
            f"no row to train {recipe.paper} on: no training row with a crop is labeled for "
            f"{', '.join(tasks)}"
        )
    if absent:
        warnings.warn(
            f"{recipe.paper} trains without {', '.join(absent)}: no training row is labeled for "
            "it; its output stays untrained",
            stacklevel=3,
        )
    build = {
        "mixed": _mixed,
        "windows": _mixed,
        "parallel_tasks": _parallel,
        "alternate": _alternate,
        "phases": _phases,
    }
    return build[recipe.sampler](recipe, table, form, seed)


def _mixed(recipe: MethodRecipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, more = recipe_tasks(recipe), recipe.sampling.unlabeled
    is_labeled = _labeled(table, tasks).any(axis=1)
    # A teacher has targets for frames without any label, so these are trained on too.
    is_chosen = (
        np.ones(len(table), bool)
        if recipe.targets.endswith("_teacher") and not more
        else is_labeled
    )
    groups = {_ALL: (tasks, np.flatnonzero(is_chosen))}
    if more:
        groups[_UNLABELED] = (tasks, np.flatnonzero(table.has_crop & ~is_labeled))
    sets = _present(groups, recipe, table, form, seed)
    if _UNLABELED in sets:
        return SemiSupervisedSampler(
            sets[_ALL], sets[_UNLABELED], batch_size(recipe, form), more, seed
        )
    return MixedSampler(sets[_ALL], batch_size(recipe, form), seed)


def _parallel(recipe: MethodRecipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, labeled = recipe_tasks(recipe), _labeled(table, recipe_tasks(recipe))
    groups = {task: ((task,), np.flatnonzero(labeled[:, k])) for k, task in enumerate(tasks)}
    named: dict[str, tuple[tuple[Task, ...], NDArray[np.int64]]] = {
        str(task): group for task, group in groups.items()
    }
    if recipe.sampling.joint:
        named["joint"] = (tasks, np.flatnonzero(labeled.all(axis=1)))
    sets = _present(named, recipe, table, form, seed)
    return PerTaskSampler(sets, batch_size(recipe, form), recipe.sampling.length, seed)  # type: ignore[arg-type]


def _alternate(recipe: MethodRecipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, labeled = recipe_tasks(recipe), _labeled(table, recipe_tasks(recipe))
    # Expressions first: an epoch lasts as long as the last set.
    order = sorted(range(len(tasks)), key=lambda k: tasks[k] == "AU")
    named = {str(tasks[k]): ((tasks[k],), np.flatnonzero(labeled[:, k])) for k in order}
    sets = _present(named, recipe, table, form, seed)
    return AlternatingSampler(sets, batch_size(recipe, form), recipe.sampling.turn, seed)  # type: ignore[arg-type]


def _phases(recipe: MethodRecipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, labeled = recipe_tasks(recipe), _labeled(table, recipe_tasks(recipe))
    named: dict[str, tuple[tuple[Task, ...], NDArray[np.int64]]] = {}
    order = sorted(range(len(tasks)), key=lambda k: tasks[k] == "AU")
    for k in order:
        alone = labeled[:, k] & (labeled.sum(axis=1) == 1)
        named[f"{tasks[k]} only"] = ((tasks[k],), np.flatnonzero(alone))
    named["several"] = (tasks, np.flatnonzero(labeled.sum(axis=1) > 1))
    return CurriculumSampler(
        _present(named, recipe, table, form, seed), batch_size(recipe, form), seed
    )


def _labeled(table: FrameTable, tasks: tuple[Task, ...]) -> NDArray[np.bool_]:
    """Mask [N, K] of rows that have an image and a label of each task."""
    return np.stack([table.labeled(task) & table.has_crop for task in tasks], axis=1)


def _present(
    groups: Mapping[str, tuple[tuple[Task, ...], NDArray[np.int64]]],
    recipe: MethodRecipe,
    table: FrameTable,
    form: InputSpec,
    seed: int,
) -> dict[str, TaskRows]:
    """The groups that have rows, as inputs of samplers."""
    return {
        name: _task_rows(tasks, rows, recipe, table, form, seed * 31 + number)
        for number, (name, (tasks, rows)) in enumerate(groups.items())
        if len(rows)
    }


def _task_rows(
    tasks: tuple[Task, ...],
    rows: NDArray[np.int64],
    recipe: MethodRecipe,
    table: FrameTable,
    form: InputSpec,
    seed: int,
) -> TaskRows:
    options = recipe.sampling
    if form.form == "windows":
        source = LabeledWindows(
            table, rows, form.length, options.stride, options.drop_gaps, options.every, seed
        )
        if not len(source(0)):
            raise ValueError(
                f"no window of {form.length} consecutive frames is labeled for "
                f"{' + '.join(tasks)}; set a smaller net.window or sampling.drop_gaps=false"
            )
        return TaskRows(tasks, source)
    if options.weights == "inverse":
        rows = every_nth(table, rows, options.every)
        weigh: Callable[[FrameTable, NDArray[np.int64]], NDArray[np.float64]] = (
            class_and_va_balanced_weights
        )
        if tasks == ("EXPR",):
            weigh = class_balanced_weights
        elif tasks == ("VA",):
            weigh = va_balanced_weights
        if tasks != ("AU",):
            return TaskRows(tasks, rows, weigh(table, rows))
    thin: RowSource = (
        rows if options.every == 1 else EpochSubsample(table, rows, options.every, seed)
    )
    return TaskRows(
        tasks,
        LabeledClips(table, thin, form.length, recipe.net.spacing)
        if form.form == "clips"
        else thin,
    )


@dataclass(frozen=True, slots=True, eq=False)
class LabeledWindows:
    """Windows over all frames of the videos with at least one frame among `rows`, drawn anew every
    epoch.
    """

    table: FrameTable
    rows: NDArray[np.int64]
    length: int
    stride: int
    drop_gaps: bool
    every: int
    seed: int

    def __call__(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.default_rng([self.seed, epoch])
        epoch_windows = windows(
            self.table,
            np.flatnonzero(self.table.has_crop),
            self.length,
            self.stride,
            drop_gaps=self.drop_gaps,
            pad_short=True,
            random=random,
        )
        is_labeled = np.zeros(len(self.table), bool)
        is_labeled[self.rows] = True
        epoch_windows = epoch_windows[is_labeled[epoch_windows].any(axis=1)]
        if len(epoch_windows) <= self.every:
            return epoch_windows
        return epoch_windows[epoch % self.every :: self.every]


@dataclass(frozen=True, slots=True, eq=False)
class LabeledClips:
    """Clips that end at the rows of an epoch, counted in available crops, as in a live system."""

    table: FrameTable
    rows: RowSource
    length: int
    spacing: int

    def __call__(self, epoch: int) -> NDArray[np.int64]:
        ends = np.asarray(self.rows(epoch) if callable(self.rows) else self.rows)
        return clips_ending_at(self.table, ends, self.length, self.spacing, count_by="row")

"""The sampler that a recipe names, over the rows of a training table."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import TASKS, FrameTable, Task
from training.datasets.sampling.label_samplers import (
    AlternatingSampler,
    MixedSampler,
    PerTaskSampler,
    CurriculumSampler,
    SemiSupervisedSampler,
    TaskRows,
)
from training.datasets.sampling.sample_weights import class_and_va_balanced_weights, class_balanced_weights, va_balanced_weights
from training.datasets.sampling.step import RowSource, Sampler
from training.datasets.sampling.subsampling import EpochSubsample, every_nth
from training.datasets.sampling.windows import clips_ending_at, windows
from training.methods.batch_builder import LABELS, InputSpec
from training.methods.recipe import Recipe

_ALL: Final = "all"
_UNLABELED: Final = "unlabeled"


def recipe_tasks(recipe: Recipe) -> tuple[Task, ...]:
    """The tasks that a recipe's losses read labels of."""
    read = {term.label for term in recipe.losses}
    return tuple(task for task in TASKS if LABELS[task] in read)


def batch_of(recipe: Recipe, form: InputSpec) -> int:
    """Samples in a batch."""
    return (
        recipe.sampling.windows
        if form.form == "windows" and recipe.sampling.windows
        else recipe.batch
    )


def build_sampler(recipe: Recipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    """Steps of rows (frames), or of rows [B, T] (windows, clips).

    A task without any row is left out with a warning; ValueError where none is left. `pairs` has
    a source of its own.
    """
    tasks = recipe_tasks(recipe)
    absent = [
        task
        for task, there in zip(tasks, _labeled(table, tasks).any(axis=0), strict=True)
        if not there
    ]
    if len(absent) == len(tasks):
        wanted = ", ".join(tasks)
        raise ValueError(
            f"no row to train {recipe.paper} on: none is labeled for {wanted}, has a crop and may be seen"
        )
    if absent:
        text = f"{recipe.paper} trains without {', '.join(absent)}: no training row is labeled so; its read-out stays untrained"
        warnings.warn(text, stacklevel=3)
    build = {
        "mixed": _mixed,
        "windows": _mixed,
        "parallel_tasks": _parallel,
        "alternate": _alternate,
        "phases": _phases,
    }
    return build[recipe.sampler](recipe, table, form, seed)


def _mixed(recipe: Recipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, more = recipe_tasks(recipe), recipe.sampling.unlabeled
    is_labeled = _labeled(table, tasks).any(axis=1)
    # A teacher answers for frames without any label, so these are worth a step too.
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
            sets[_ALL], sets[_UNLABELED], batch_of(recipe, form), more, seed
        )
    return MixedSampler(sets[_ALL], batch_of(recipe, form), seed)


def _parallel(recipe: Recipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, labeled = recipe_tasks(recipe), _labeled(table, recipe_tasks(recipe))
    groups = {task: ((task,), np.flatnonzero(labeled[:, k])) for k, task in enumerate(tasks)}
    named: dict[str, tuple[tuple[Task, ...], NDArray[np.int64]]] = {
        str(task): group for task, group in groups.items()
    }
    if recipe.sampling.joint:
        named["joint"] = (tasks, np.flatnonzero(labeled.all(axis=1)))
    sets = _present(named, recipe, table, form, seed)
    return PerTaskSampler(sets, batch_of(recipe, form), recipe.sampling.length, seed)  # type: ignore[arg-type]


def _alternate(recipe: Recipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, labeled = recipe_tasks(recipe), _labeled(table, recipe_tasks(recipe))
    # Expressions first: an epoch lasts as long as the last set.
    order = sorted(range(len(tasks)), key=lambda k: tasks[k] == "AU")
    named = {str(tasks[k]): ((tasks[k],), np.flatnonzero(labeled[:, k])) for k in order}
    sets = _present(named, recipe, table, form, seed)
    return AlternatingSampler(sets, batch_of(recipe, form), recipe.sampling.turn, seed)  # type: ignore[arg-type]


def _phases(recipe: Recipe, table: FrameTable, form: InputSpec, seed: int) -> Sampler:
    tasks, labeled = recipe_tasks(recipe), _labeled(table, recipe_tasks(recipe))
    named: dict[str, tuple[tuple[Task, ...], NDArray[np.int64]]] = {}
    order = sorted(range(len(tasks)), key=lambda k: tasks[k] == "AU")
    for k in order:
        alone = labeled[:, k] & (labeled.sum(axis=1) == 1)
        named[f"{tasks[k]} only"] = ((tasks[k],), np.flatnonzero(alone))
    named["several"] = (tasks, np.flatnonzero(labeled.sum(axis=1) > 1))
    return CurriculumSampler(_present(named, recipe, table, form, seed), batch_of(recipe, form), seed)


def _labeled(table: FrameTable, tasks: tuple[Task, ...]) -> NDArray[np.bool_]:
    """Which rows with an image have a label of each task [N, K]."""
    return np.stack([table.labeled(task) & table.has_crop for task in tasks], axis=1)


def _present(
    groups: Mapping[str, tuple[tuple[Task, ...], NDArray[np.int64]]], recipe: Recipe, table: FrameTable,
    form: InputSpec, seed: int,
) -> dict[str, TaskRows]:  # fmt: skip
    """The groups that have rows, as what samplers take."""
    return {
        name: _task_rows(tasks, rows, recipe, table, form, seed * 31 + number)
        for number, (name, (tasks, rows)) in enumerate(groups.items())
        if len(rows)
    }


def _task_rows(
    tasks: tuple[Task, ...],
    rows: NDArray[np.int64],
    recipe: Recipe,
    table: FrameTable,
    form: InputSpec,
    seed: int,
) -> TaskRows:
    options = recipe.sampling
    if form.form == "windows":
        source = WindowsWith(
            table, rows, form.length, options.stride, options.drop_gaps, options.every, seed
        )
        if not len(source(0)):
            raise ValueError(
                f"no window of {form.length} frames in a row is labeled for {' + '.join(tasks)}; "
                "take a smaller net.window or sampling.drop_gaps=false"
            )
        return TaskRows(tasks, source)
    if options.weights == "inverse":
        rows = every_nth(table, rows, options.every)
        weigh = {("EXPR",): class_balanced_weights, ("VA",): va_balanced_weights}.get(tasks, class_and_va_balanced_weights)
        if tasks != ("AU",):
            return TaskRows(tasks, rows, weigh(table, rows))
    thin: RowSource = rows if options.every == 1 else EpochSubsample(table, rows, options.every, seed)
    return TaskRows(
        tasks,
        ClipsAt(table, thin, form.length, recipe.net.spacing) if form.form == "clips" else thin,
    )


@dataclass(frozen=True, slots=True, eq=False)
class WindowsWith:
    """Windows over all frames of the videos, drawn anew every epoch, of which at least one frame is
    among `rows`.
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
        there = np.flatnonzero(self.table.has_crop)
        found = windows(
            self.table,
            there,
            self.length,
            self.stride,
            drop_gaps=self.drop_gaps,
            pad_short=True,
            random=random,
        )
        wanted = np.zeros(len(self.table), bool)
        wanted[self.rows] = True
        found = found[wanted[found].any(axis=1)]
        return found[epoch % self.every :: self.every] if len(found) > self.every else found


@dataclass(frozen=True, slots=True, eq=False)
class ClipsAt:
    """Clips that end at the rows of an epoch, counted in crops that are there, as a live system
    meets them.
    """

    table: FrameTable
    rows: RowSource
    length: int
    spacing: int

    def __call__(self, epoch: int) -> NDArray[np.int64]:
        ends = np.asarray(self.rows(epoch) if callable(self.rows) else self.rows)
        return clips_ending_at(self.table, ends, self.length, self.spacing, count_by="row")

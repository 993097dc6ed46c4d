"""Builds the sampler of a recipe over the rows of a training table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import TASKS, FrameTable, Rows, Task
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
from training.datasets.sampling.subsampling import EpochSubsample, every_nth, keep_one_in
from training.datasets.sampling.windows import clips_ending_at, windows
from training.methods.batch_builder import LABELS, InputSpec
from training.methods.recipe import MethodRecipe

_ALL: Final = "all"
_UNLABELED: Final = "unlabeled"
_WEIGHTS: Final[dict[tuple[Task, ...], Callable[[FrameTable, Rows], NDArray[np.float64]]]] = {
    ("EXPR",): class_balanced_weights,
    ("VA",): va_balanced_weights,
}
_Groups = dict[str, tuple[tuple[Task, ...], Rows]]
"""Tasks and rows by name."""


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
    builder = _SamplerBuilder(recipe, table, form, seed)
    tasks = builder.tasks
    absent = [task for k, task in enumerate(tasks) if not builder.labeled[:, k].any()]
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
        "mixed": builder.mixed,
        "windows": builder.mixed,
        "parallel_tasks": builder.parallel,
        "alternate": builder.alternate,
        "phases": builder.phases,
    }
    return build[recipe.sampler]()


class _SamplerBuilder:
    """The kinds of samplers over the labeled rows of a table."""

    def __init__(self, recipe: MethodRecipe, table: FrameTable, form: InputSpec, seed: int) -> None:
        self._recipe, self._table, self._form, self._seed = recipe, table, form, seed
        self._options, self._batch = recipe.sampling, batch_size(recipe, form)
        self.tasks = recipe_tasks(recipe)
        labeled = [table.labeled(task) & table.has_crop for task in self.tasks]
        self.labeled = np.stack(labeled, axis=1)  # [N, K] rows with an image and a label of a task
        # Expressions first: an epoch lasts as long as the last set.
        self._au_last = sorted(range(len(self.tasks)), key=lambda k: self.tasks[k] == "AU")

    def mixed(self) -> Sampler:
        more = self._options.unlabeled
        is_labeled = self.labeled.any(axis=1)
        # A teacher has targets for frames without any label, so these are trained on too.
        has_targets = self._recipe.targets.endswith("_teacher") and not more
        is_chosen = np.ones(len(self._table), bool) if has_targets else is_labeled
        groups = {_ALL: (self.tasks, np.flatnonzero(is_chosen))}
        if more:
            groups[_UNLABELED] = (self.tasks, np.flatnonzero(self._table.has_crop & ~is_labeled))
        sets = self._present(groups)
        if _UNLABELED in sets:
            return SemiSupervisedSampler(
                sets[_ALL], sets[_UNLABELED], self._batch, more, self._seed
            )
        return MixedSampler(sets[_ALL], self._batch, self._seed)

    def parallel(self) -> Sampler:
        groups = self._by_task(range(len(self.tasks)))
        if self._options.joint:
            groups["joint"] = (self.tasks, np.flatnonzero(self.labeled.all(axis=1)))
        length: Any = self._options.length
        return PerTaskSampler(self._present(groups), self._batch, length, self._seed)

    def alternate(self) -> Sampler:
        sets, turn = self._present(self._by_task(self._au_last)), cast(Any, self._options.turn)
        return AlternatingSampler(sets, self._batch, turn, self._seed)

    def phases(self) -> Sampler:
        groups: _Groups = {}
        count = self.labeled.sum(axis=1)
        for k in self._au_last:
            rows = np.flatnonzero(self.labeled[:, k] & (count == 1))
            groups[f"{self.tasks[k]} only"] = ((self.tasks[k],), rows)
        groups["several"] = (self.tasks, np.flatnonzero(count > 1))
        return CurriculumSampler(self._present(groups), self._batch, self._seed)

    def _by_task(self, order: Iterable[int]) -> _Groups:
        return {
            self.tasks[k]: ((self.tasks[k],), np.flatnonzero(self.labeled[:, k])) for k in order
        }

    def _present(self, groups: _Groups) -> dict[str, TaskRows]:
        """The groups that have rows, as inputs of samplers."""
        return {
            name: self._task_rows(tasks, rows, self._seed * 31 + number)
            for number, (name, (tasks, rows)) in enumerate(groups.items())
            if len(rows)
        }

    def _thinned(self, tasks: tuple[Task, ...], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Frames without those left out by `keep_one_in` and `va_every`; windows stay whole."""
        options, table = self._options, self._table
        if self._form.form == "windows":
            return rows
        if options.va_every > 1 and tasks == ("VA",):
            rows = every_nth(table, rows, options.va_every)
        if options.keep_one_in and "EXPR" in tasks:
            rows = keep_one_in(table, rows, options.keep_one_in, self._seed)
        return rows

    def _task_rows(self, tasks: tuple[Task, ...], rows: NDArray[np.int64], seed: int) -> TaskRows:
        options, table, length = self._options, self._table, self._form.length
        rows = self._thinned(tasks, rows)
        if self._form.form == "windows":
            source = LabeledWindows(
                table, rows, length, options.stride, options.drop_gaps, options.every, seed
            )
            if not len(source(0)):
                raise ValueError(
                    f"no window of {length} consecutive frames is labeled for "
                    f"{' + '.join(tasks)}; set a smaller net.window or sampling.drop_gaps=false"
                )
            return TaskRows(tasks, source)
        if options.weights == "inverse":
            rows = every_nth(table, rows, options.every)
            if tasks != ("AU",):
                weigh = _WEIGHTS.get(tasks, class_and_va_balanced_weights)
                return TaskRows(tasks, rows, weigh(table, rows))
        thin: RowSource = (
            rows if options.every == 1 else EpochSubsample(table, rows, options.every, seed)
        )
        if self._form.form == "clips":
            thin = LabeledClips(table, thin, length, self._recipe.net.spacing)
        return TaskRows(tasks, thin)


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
        is_still = (epoch_windows == epoch_windows[:, :1]).all(axis=1)
        if not is_still.all():
            epoch_windows = epoch_windows[~is_still]  # of data sets of images
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
        return clips_ending_at(self.table, ends, self.length, self.spacing)

"""Samplers for multi-task training on frames that are labeled for some tasks only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import Task
from training.datasets.sampling.step import Part, RowSource, Step


@dataclass(frozen=True, slots=True, eq=False)
class TaskRows:
    """Rows to draw for some tasks: with weights with replacement, else each once per epoch."""

    tasks: tuple[Task, ...]
    rows: RowSource
    weights: NDArray[np.float64] | None = None  # [N] of any scale

    def rows_of_epoch(self, epoch: int) -> NDArray[np.int64]:
        """Rows of an epoch; ValueError if there are none."""
        rows = np.asarray(self.rows(epoch) if callable(self.rows) else self.rows)
        if not len(rows):
            raise ValueError(
                f"no row to train on for {' + '.join(self.tasks)}: none is labeled, has a crop "
                "and is in the training split"
            )
        if self.weights is not None and len(self.weights) != len(rows):
            raise ValueError(f"expected {len(rows)} weights, got {len(self.weights)}")
        return rows

    def batches(
        self, epoch: int, batch: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """Batches of one epoch; the last may be smaller."""
        rows = self.rows_of_epoch(epoch)
        if self.weights is None:
            order = random.permutation(len(rows))
        else:
            order = random.choice(len(rows), len(rows), p=self.weights / self.weights.sum())
        return [rows[order[k : k + batch]] for k in range(0, len(rows), batch)]

    def batch_count(self, epoch: int, batch: int) -> int:
        """Number of batches of an epoch."""
        return -(-len(self.rows_of_epoch(epoch)) // batch)


@dataclass(frozen=True, slots=True)
class MixedSampler:
    """Draws from one pool of rows with any labels; masks decide which losses apply (M5, M6)."""

    rows: TaskRows
    batch: int
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        for rows in self.rows.batches(epoch, self.batch, _random(self.seed, epoch, 0)):
            yield Step((Part(self.rows.tasks, rows),))

    def count(self, epoch: int) -> int:
        return self.rows.batch_count(epoch, self.batch)


@dataclass(frozen=True, slots=True)
class SemiSupervisedSampler:
    """Draws batches of labeled rows, each once per epoch, plus `more` unlabeled rows per batch.

    A teacher labels the unlabeled rows (Tarvainen & Valpola 2017). The number of labeled rows per
    step is that of supervised training, however few labels there are.
    """

    labeled: TaskRows
    unlabeled: TaskRows
    batch: int
    more: int
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        unlabeled = _cycle(self.unlabeled, epoch, self.more, self.seed, 1)
        for rows in self.labeled.batches(epoch, self.batch, _random(self.seed, epoch, 0)):
            yield Step((Part(self.labeled.tasks, np.concatenate([rows, next(unlabeled)])),))

    def count(self, epoch: int) -> int:
        return self.labeled.batch_count(epoch, self.batch)


@dataclass(frozen=True, slots=True)
class PerTaskSampler:
    """Draws one batch of every set in each step; their losses are added.

    With `length="longest"`, shorter sets repeat in a new order until the longest is exhausted
    (M1); with "shortest", the epoch ends with the shortest set (M8, with a set for both tasks).
    """

    sets: Mapping[str, TaskRows]
    batch: int
    length: Literal["longest", "shortest"] = "longest"
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        streams = _streams(self.sets, epoch, self.batch, self.seed)
        for _ in range(self.count(epoch)):
            yield Step(
                tuple(
                    Part(s.tasks, next(stream))
                    for s, stream in zip(self.sets.values(), streams, strict=True)
                )
            )

    def count(self, epoch: int) -> int:
        counts = [s.batch_count(epoch, self.batch) for s in self.sets.values()]
        return max(counts) if self.length == "longest" else min(counts)


@dataclass(frozen=True, slots=True)
class AlternatingSampler:
    """Alternates between the sets, with one optimizer step each (M2).

    With `turn="batch"`, a batch of every set in turn until the last set is exhausted; the others
    repeat as needed. With "epoch", all batches of the first set, then all of the next.
    """

    sets: Mapping[str, TaskRows]
    batch: int
    turn: Literal["batch", "epoch"] = "batch"
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        if self.turn == "epoch":
            for k, (name, each) in enumerate(self.sets.items()):
                for rows in each.batches(epoch, self.batch, _random(self.seed, epoch, k)):
                    yield Step((Part(each.tasks, rows),), name)
            return
        streams = _streams(self.sets, epoch, self.batch, self.seed)
        for _ in range(self.count(epoch) // len(self.sets)):
            for (name, each), stream in zip(self.sets.items(), streams, strict=True):
                yield Step((Part(each.tasks, next(stream)),), name)

    def count(self, epoch: int) -> int:
        counts = [s.batch_count(epoch, self.batch) for s in self.sets.values()]
        return sum(counts) if self.turn == "epoch" else counts[-1] * len(counts)


@dataclass(frozen=True, slots=True)
class CurriculumSampler:
    """Draws groups of rows by available labels, one group after the other (M3).

    The name of the group is the `phase` of the step; heads of other tasks are frozen in it.
    """

    groups: Mapping[str, TaskRows]
    batch: int
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        for k, (name, group) in enumerate(self.groups.items()):
            for rows in group.batches(epoch, self.batch, _random(self.seed, epoch, k)):
                yield Step((Part(group.tasks, rows),), name)

    def count(self, epoch: int) -> int:
        return sum(group.batch_count(epoch, self.batch) for group in self.groups.values())


def _cycle(
    rows: TaskRows, epoch: int, batch: int, seed: int, number: int
) -> Iterator[NDArray[np.int64]]:
    """Endless batches; each pass over the rows has a new order."""
    return chain.from_iterable(
        rows.batches(epoch, batch, _random(seed, epoch, number, turn)) for turn in count()
    )


def _streams(
    sets: Mapping[str, TaskRows], epoch: int, batch: int, seed: int
) -> list[Iterator[NDArray[np.int64]]]:
    return [_cycle(rows, epoch, batch, seed, k) for k, rows in enumerate(sets.values())]


def _random(seed: int, epoch: int, number: int, turn: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, number, turn])

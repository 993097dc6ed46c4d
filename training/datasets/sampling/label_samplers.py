"""The four ways in which the eight methods treat frames that are labeled for some tasks only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import Task
from training.datasets.sampling.step import Part, RowSource, Step


@dataclass(frozen=True, slots=True, eq=False)
class TaskRows:
    """Rows that are drawn for some tasks; with weights they are drawn with replacement, else each
    once an epoch.
    """

    tasks: tuple[Task, ...]
    rows: RowSource
    weights: NDArray[np.float64] | None = None  # [N], any positive scale

    def of(self, epoch: int) -> NDArray[np.int64]:
        rows = np.asarray(self.rows(epoch) if callable(self.rows) else self.rows)
        if not len(rows):
            raise ValueError(
                f"no row to train on for {' + '.join(self.tasks)}: none is labeled, has a crop and may be seen"
            )
        if self.weights is not None and len(self.weights) != len(rows):
            raise ValueError(f"there are {len(rows)} rows and {len(self.weights)} weights")
        return rows

    def batches(
        self, epoch: int, batch: int, random: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """One epoch in batches; the last may be smaller."""
        rows = self.of(epoch)
        if self.weights is None:
            order = random.permutation(len(rows))
        else:
            order = random.choice(len(rows), len(rows), p=self.weights / self.weights.sum())
        return [rows[order[k : k + batch]] for k in range(0, len(rows), batch)]

    def batch_count(self, epoch: int, batch: int) -> int:
        return -(-len(self.of(epoch)) // batch)


@dataclass(frozen=True, slots=True)
class MixedSampler:
    """One stream of rows of any label pattern; the masks decide which losses count (M5, M6)."""

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
    """A batch of labeled rows, each once an epoch, and to each `more` rows without any label, for a
    teacher to answer (Tarvainen & Valpola 2017): however few labels there are, a step holds as
    many as one that learns from labels alone.
    """

    labeled: TaskRows
    unlabeled: TaskRows
    batch: int
    more: int
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        others = _endless(self.unlabeled, epoch, self.more, self.seed, 1)
        for rows in self.labeled.batches(epoch, self.batch, _random(self.seed, epoch, 0)):
            yield Step((Part(self.labeled.tasks, np.concatenate([rows, next(others)])),))

    def count(self, epoch: int) -> int:
        return self.labeled.batch_count(epoch, self.batch)


@dataclass(frozen=True, slots=True)
class PerTaskSampler:
    """One batch of every set in each step, losses added (M1: longest; M8: shortest, with a set for
    both tasks).

    With "longest", shorter sets start over in a new order until the longest is through; with
    "shortest", the epoch ends with the first set that does.
    """

    sets: Mapping[str, TaskRows]
    batch: int
    length: Literal["longest", "shortest"] = "longest"
    seed: int = 0

    def steps(self, epoch: int) -> Iterator[Step]:
        streams = [
            _endless(s, epoch, self.batch, self.seed, k) for k, s in enumerate(self.sets.values())
        ]
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
    """Tasks take turns, an optimizer step each (M2).

    turn "batch": a batch of every set in turn, as long as the last set lasts; the others start
    over as often as needed. turn "epoch": within one pass the whole of the first set, then the
    whole of the next.
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
        streams = [
            _endless(s, epoch, self.batch, self.seed, k) for k, s in enumerate(self.sets.values())
        ]
        for _ in range(self.count(epoch) // len(self.sets)):
            for (name, each), stream in zip(self.sets.items(), streams, strict=True):
                yield Step((Part(each.tasks, next(stream)),), name)

    def count(self, epoch: int) -> int:
        counts = [s.batch_count(epoch, self.batch) for s in self.sets.values()]
        return sum(counts) if self.turn == "epoch" else counts[-1] * len(counts)


@dataclass(frozen=True, slots=True)
class CurriculumSampler:
    """Groups of rows by what they are labeled for, one whole group after the other (M3).

    The name of a group is the step's `phase`; a recipe rests the heads that are not in the
    phase's tasks.
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


def _endless(
    rows: TaskRows, epoch: int, batch: int, seed: int, number: int
) -> Iterator[NDArray[np.int64]]:
    rounds = enumerate(repeat(None))
    return chain.from_iterable(
        rows.batches(epoch, batch, _random(seed, epoch, number, turn)) for turn, _ in rounds
    )


def _random(seed: int, epoch: int, number: int, turn: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, number, turn])

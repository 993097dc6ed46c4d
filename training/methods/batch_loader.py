"""Batches of a recipe's training, made ahead while the network works on those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.labels import AU_NAMES
from training.datasets.sampling.pairs import au_pairs
from training.datasets.sampling.step import Part, Sampler, Step, shard
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.build_sampler import batch_of, build_sampler, recipe_tasks
from training.methods.data import MethodData
from training.methods.recipe import Recipe

Batches = Sequence[Mapping[str, Tensor]]
_KEPT_AHEAD: Final = 2


class BatchLoader:
    """The `BatchSource` of a recipe: a step's batches depend on its number, the seed and the
    process alone.

    With `world` processes each takes its own share of every step. Labels of other tasks than a
    part's are left out of its batch where absent labels are ignored; a teacher sees all of them.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: MethodData,
        form: InputSpec,
        seed: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.samples = BatchBuilder(recipe, form, data, data.train)
        self._recipe, self._seed, self._rank, self._world = recipe, seed, rank, world
        self._sampler: Sampler | PairSteps
        samples = batch_of(recipe, form)
        if samples < 2 * world:
            raise ValueError(
                f"{world} processes share a batch of {samples}: each needs two samples, set batch={2 * world} or more"
            )
        if recipe.sampler == "pairs":
            self._sampler = PairSteps(data, recipe.batch, recipe.sampling.pairs, seed)
        else:
            self._sampler = build_sampler(recipe, data.train, form, seed)
        self.steps_per_epoch = max(1, self._sampler.count(0))
        self._plans: dict[int, list[Step]] = {}
        self._pool = ThreadPoolExecutor(1)
        self._ahead: dict[int, Future[Batches]] = {}

    def make(self, step: int) -> Batches:
        """The batches of a step; the next ones are begun meanwhile."""
        coming = self._ahead.pop(step, None)
        for later in range(step + 1, step + 1 + _KEPT_AHEAD):
            if later not in self._ahead:
                self._ahead[later] = self._pool.submit(self.make_now, later)
        for other in [each for each in self._ahead if not step < each <= step + _KEPT_AHEAD]:
            self._ahead.pop(other).cancel()
        return self.make_now(step) if coming is None else coming.result()

    def close(self) -> None:
        """Stop making batches."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._ahead.clear()

    def make_now(self, step: int) -> Batches:
        epoch, place = divmod(step, self.steps_per_epoch)
        plan = self._plan(epoch)
        chosen = plan[place % len(plan)]
        if self._world > 1:
            chosen = shard(chosen, self._rank, self._world)
        return [
            self._batch(part, (self._seed, step, number, self._rank))
            for number, part in enumerate(chosen.parts)
        ]

    def _plan(self, epoch: int) -> list[Step]:
        if epoch not in self._plans:
            self._plans = {k: plan for k, plan in self._plans.items() if k >= epoch - 1}
            self._plans[epoch] = list(self._sampler.steps(epoch))
        return self._plans[epoch]

    def _batch(self, part: Part, seed: tuple[int, ...]) -> dict[str, Tensor]:
        if isinstance(self._sampler, PairSteps):
            return self._pair_batch(part.rows, seed)
        tasks = part.tasks if self._recipe.targets == "ignore" else recipe_tasks(self._recipe)
        return self.samples.batch(part.rows, tasks, seed)

    def _pair_batch(self, rows: NDArray[np.int64], seed: tuple[int, ...]) -> dict[str, Tensor]:
        """`first`, `second` [B, 3, S, S] of rows [B, 2]; `order` [B, 12]: +1 where the second is
        higher, 0 where unknown.
        """
        table = self.samples.table
        first, second = (self.samples.batch(rows[:, k], (), (*seed, k))["crops"] for k in range(2))
        values = table.au
        if table.au_intensity is not None:
            values = np.where(np.isfinite(table.au_intensity), table.au_intensity, values)
        known = table.au_mask[rows[:, 0]] & table.au_mask[rows[:, 1]]
        order = np.sign(values[rows[:, 1]] - values[rows[:, 0]]) * known
        return {
            "first": first,
            "second": second,
            "order": torch.from_numpy(order.astype(np.float32)),
        }


class PairSteps:
    """Steps of pairs [B, 2] of one video's frames (M7): as many for each AU, drawn anew every
    epoch.
    """

    def __init__(self, data: MethodData, batch: int, count: int, seed: int) -> None:
        self._table, self._batch, self._seed = data.train, batch, seed
        self._each = -(-count // len(AU_NAMES))
        self._columns = [k for k in range(len(AU_NAMES)) if self._has_pairs(k)]
        if not self._columns:
            raise ValueError(
                "no pair to learn from: no training video has frames with and without the same AU"
            )

    def _has_pairs(self, column: int) -> bool:
        try:
            au_pairs(self._table, column, 1, np.random.default_rng(0))
        except ValueError:
            return False
        return True

    def count(self, epoch: int) -> int:
        return -(-self._each * len(self._columns) // self._batch)

    def steps(self, epoch: int) -> list[Step]:
        random = np.random.default_rng([self._seed, epoch])
        drawn = [au_pairs(self._table, column, self._each, random) for column in self._columns]
        pairs = np.concatenate([np.stack([each.first, each.second], axis=1) for each in drawn])
        pairs = pairs[random.permutation(len(pairs))]
        return [
            Step((Part(("AU",), pairs[k : k + self._batch]),))
            for k in range(0, len(pairs), self._batch)
        ]

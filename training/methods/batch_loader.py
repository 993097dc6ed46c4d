"""Batches of a recipe's training, prefetched while the network trains on earlier ones."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.labels import AU_NAMES
from training.datasets.frame_table import FrameTable
from training.datasets.sampling.pairs import au_pairs
from training.datasets.sampling.step import Part, Sampler, Step, shard
from training.engine.distributed import ProcessGroup
from training.methods.batch_builder import PAIR_PREFIXES, BatchBuilder, InputSpec
from training.methods.build_sampler import batch_size, build_sampler, recipe_tasks
from training.methods.data import MethodData
from training.methods.recipe import MethodRecipe

Batches = Sequence[Mapping[str, Tensor]]
PREFETCH: Final = 2  # steps a thread


class BatchLoader:
    """The `BatchSource` of a recipe: a step's batches depend on its number, the seed and the
    process alone. They are raw, with images as stored; `finish` makes inputs of them on the device.

    Each of several processes takes its own shard of every step. Labels of other tasks than a
    part's are left out of its batch if absent labels are ignored; a teacher needs all of them.
    """

    def __init__(
        self,
        recipe: MethodRecipe,
        data: MethodData,
        form: InputSpec,
        seed: int = 1,
        processes: ProcessGroup | None = None,
        threads: int = 1,
        pin: bool = False,
    ) -> None:
        """`threads` build batches; `pin` puts them into memory that a GPU copies from in the
        background.
        """
        self._pin = pin
        self._builder = BatchBuilder(recipe, form, data, data.train)
        self._recipe, self._seed = recipe, seed
        self._processes = processes or ProcessGroup()
        world_size, samples = self._processes.world_size, batch_size(recipe, form)
        if samples < 2 * world_size:
            raise ValueError(
                f"{world_size} processes share a batch of {samples}: each needs two samples, "
                f"set batch={2 * world_size} or more"
            )
        self._sampler: Sampler | PairSampler
        if recipe.sampler == "pairs":
            self._sampler = PairSampler(data.train, recipe.batch, recipe.sampling.pairs, seed)
        else:
            self._sampler = build_sampler(recipe, data.train, form, seed)
        self.steps_per_epoch = max(1, self._sampler.count(0))
        self._steps_by_epoch: dict[int, list[Step]] = {}
        self._pool = ThreadPoolExecutor(threads)
        self._prefetch = PREFETCH * threads
        self._lock = threading.Lock()  # of the steps of an epoch
        self._prefetched: dict[int, Future[Batches]] = {}

    def get(self, step: int) -> Batches:
        """The batches of a step; starts to build those of the next steps."""
        prefetched = self._prefetched.pop(step, None)
        for later in range(step + 1, step + 1 + self._prefetch):
            if later not in self._prefetched:
                self._prefetched[later] = self._pool.submit(self.build, later)
        for other in list(self._prefetched):
            if not step < other <= step + self._prefetch:
                self._prefetched.pop(other).cancel()
        return self.build(step) if prefetched is None else prefetched.result()

    def close(self) -> None:
        """Stop prefetching."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._prefetched.clear()

    def build(self, step: int) -> Batches:
        """Build the batches of a step in the calling thread."""
        epoch, index = divmod(step, self.steps_per_epoch)
        steps = self._steps_of(epoch)
        parts = steps[index % len(steps)]
        rank, world_size = self._processes.rank, self._processes.world_size
        if world_size > 1:
            parts = shard(parts, rank, world_size)
        batches = [
            self._build_part(part, (self._seed, step, number, rank))
            for number, part in enumerate(parts.parts)
        ]
        if self._pin:
            batches = [
                {name: value.pin_memory() for name, value in batch.items()} for batch in batches
            ]
        return batches

    def finish(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inputs and labels of a raw batch, on its device."""
        return self._builder.finish(batch)

    def _steps_of(self, epoch: int) -> list[Step]:
        with self._lock:
            if epoch not in self._steps_by_epoch:
                self._steps_by_epoch = {
                    k: steps for k, steps in self._steps_by_epoch.items() if k >= epoch - 1
                }
                self._steps_by_epoch[epoch] = list(self._sampler.steps(epoch))
            return self._steps_by_epoch[epoch]

    def _build_part(self, part: Part, seed: tuple[int, ...]) -> dict[str, Tensor]:
        if isinstance(self._sampler, PairSampler):
            return self._build_pairs(part.rows, seed)
        tasks = part.tasks if self._recipe.targets == "ignore" else recipe_tasks(self._recipe)
        return self._builder.raw_batch(part.rows, tasks, seed)

    def _build_pairs(self, rows: NDArray[np.int64], seed: tuple[int, ...]) -> dict[str, Tensor]:
        """Raw `first` and `second` images of rows [B, 2], and `order` [B, 12]: +1 where the second
        is higher, -1 where lower, 0 where unknown.
        """
        table = self._builder.table
        raw = {"order": pair_order(table, rows)}
        for k, prefix in enumerate(PAIR_PREFIXES):
            images = self._builder.raw_batch(rows[:, k], (), (*seed, k))
            raw |= {f"{prefix}{name}": value for name, value in images.items()}
        return raw


def pair_order(table: FrameTable, rows: NDArray[np.int64]) -> Tensor:
    """Order [B, 12] of the labels of pairs of rows [B, 2]; 0 where equal or unknown."""
    values = table.au
    if table.au_intensity is not None:
        values = np.where(np.isfinite(table.au_intensity), table.au_intensity, values)
    is_known = table.au_mask[rows[:, 0]] & table.au_mask[rows[:, 1]]
    order = np.sign(values[rows[:, 1]] - values[rows[:, 0]]) * is_known
    return torch.from_numpy(order.astype(np.float32))


class PairSampler:
    """Steps of pairs [B, 2] of one video's frames (M7): `pairs` for each AU, drawn anew every
    epoch.
    """

    def __init__(self, table: FrameTable, batch: int, pairs: int, seed: int) -> None:
        self._table, self._batch, self._seed = table, batch, seed
        self._pairs_per_au = pairs
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
        return -(-self._pairs_per_au * len(self._columns) // self._batch)

    def steps(self, epoch: int) -> list[Step]:
        random = np.random.default_rng([self._seed, epoch])
        by_au = [
            au_pairs(self._table, column, self._pairs_per_au, random) for column in self._columns
        ]
        pairs = np.concatenate(by_au)
        pairs = pairs[random.permutation(len(pairs))]
        return [
            Step((Part(("AU",), pairs[k : k + self._batch]),))
            for k in range(0, len(pairs), self._batch)
        ]

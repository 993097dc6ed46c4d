"""Types that samplers pass to the training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import Task

RowSource = NDArray[np.int64] | Callable[[int], NDArray[np.int64]]
"""Rows [N] or clips of rows [N, T] with -1 for absent frames; or a function from epoch to those."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One forward pass: the rows of a batch, and the tasks whose losses apply to it."""

    tasks: tuple[Task, ...]
    rows: NDArray[np.int64]  # [B] or [B, T]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One optimizer step: the losses of all parts are added; `phase` is the stage of the epoch."""

    parts: tuple[Part, ...]
    phase: str = ""


class Sampler(Protocol):
    """Deterministic source of steps by seed and epoch, so that a run can resume."""

    def steps(self, epoch: int) -> Iterator[Step]:
        """The steps of an epoch."""
        ...

    def count(self, epoch: int) -> int:
        """Number of steps of an epoch."""
        ...


def shard(step: Step, rank: int, world: int) -> Step:
    """Part of a step for process `rank` of `world`; first rows repeat to make sizes equal."""
    parts = []
    for part in step.parts:
        each = -(-len(part.rows) // world)
        indices = np.resize(np.arange(len(part.rows)), each * world)[rank::world]
        parts.append(Part(part.tasks, part.rows[indices]))
    return Step(tuple(parts), step.phase)

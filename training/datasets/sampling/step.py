"""What a sampler gives a training loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.datasets.frame_table import Task

RowSource = NDArray[np.int64] | Callable[[int], NDArray[np.int64]]
"""Rows [N], or clips of rows [N, T] in which -1 is a frame that is not there; or what gives them
for an epoch.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One forward pass: the rows of a batch, and the tasks whose losses count for it."""

    tasks: tuple[Task, ...]
    rows: NDArray[np.int64]  # [B] or [B, T]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of the optimizer: the losses of all parts are added. `phase` names the stage of an
    epoch, if it has any.
    """

    parts: tuple[Part, ...]
    phase: str = ""


class Sampler(Protocol):
    """The same seed and epoch give the same steps, so a run can go on where it stopped."""

    def steps(self, epoch: int) -> Iterator[Step]: ...

    def count(self, epoch: int) -> int:
        """Steps of an epoch."""
        ...


def shard(step: Step, rank: int, world: int) -> Step:
    """The share of a step that process `rank` of `world` takes: equal for all, first rows repeated
    where needed.
    """
    parts = []
    for part in step.parts:
        each = -(-len(part.rows) // world)
        places = np.resize(np.arange(len(part.rows)), each * world)[rank::world]
        parts.append(Part(part.tasks, part.rows[places]))
    return Step(tuple(parts), step.phase)

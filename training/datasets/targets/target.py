"""The one signature of all target providers.

    provider(batch, step) -> Targets            task -> the targets of that task, each with its weights

A batch is what `frame_samples.read_batch` gives. A loss takes a prediction and a target's value and weight, and is 0 and
attached to the graph where no weight is on. `kind` says which loss a recipe applies: "label" and "pseudo" the task's own,
"teacher" its consistency or distillation loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from training.datasets.frame_table import Task

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One target of one task for a batch of any leading shape [...] ([B], or [B, T] for sequences).

    value: AU [..., 12] probabilities; EXPR [...] class index, or [..., 7] distribution (teacher); VA [..., 2], or
        [..., 2, bins] distributions (a teacher that classifies bins).
    weight: AU [..., 12], else [...]; 0 where the target does not count.
    temperature: a teacher's; the student's logits are divided by it too, and the loss multiplied by its square.
    """

    value: Tensor
    weight: Tensor
    kind: Literal["label", "pseudo", "teacher"] = "label"
    temperature: float = 1.0


Targets = dict[Task, tuple[Target, ...]]


class TargetProvider(Protocol):
    def __call__(self, batch: Batch, epoch: float) -> Targets: ...


def label_masks(batch: Batch) -> dict[Task, Tensor]:
    """Where each task's label is known, as weights: AU [..., 12], EXPR [...], VA [...]."""
    names: dict[Task, str] = {"AU": "au_mask", "EXPR": "expression_mask", "VA": "va_mask"}
    return {task: batch[name].to(torch.float32) for task, name in names.items()}


def label_values(batch: Batch) -> dict[Task, Tensor]:
    """The labels; whatever stands where there is none is not looked at."""
    return {"AU": batch["au"], "EXPR": batch["expression"], "VA": batch["va"]}

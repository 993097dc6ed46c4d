"""Absent labels become what a teacher says: a copy that follows the student (M5) or one that is finished (M8).

Both are one class; only `update` differs. The teacher is always in evaluation mode and its buffers (running statistics)
follow too, so that what is measured and exported is what gave the targets. Steps are counted over the whole run: an
average that started anew each epoch would be overwritten by the student each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.datasets.frame_table import TASKS, Task
from training.datasets.targets.target import Batch, Target, Targets, label_masks, label_values

OUTPUTS: Final[dict[Task, str]] = {"AU": "au_logit", "EXPR": "expression_logit", "VA": "va"}
"""What a teacher's forward gives: AU logits [..., 12], expression logits [..., 7], valence and arousal [..., 2] (or the
logits of their bins [..., 2, K])."""


@dataclass(frozen=True, slots=True)
class TeacherWeights:
    """How much a teacher's word counts beside the labels."""

    where_absent: float = 1.0
    where_present: float = 0.0
    label: float = 1.0  # of the true labels
    temperature: float = 1.0
    hard_expression: bool = False  # the teacher's best class instead of its distribution

    @classmethod
    def mean_teacher(cls) -> TeacherWeights:
        """M5: absent labels only, hard for expressions; `ramp` gives the course over epochs."""
        return cls(hard_expression=True)

    @classmethod
    def distillation(cls) -> TeacherWeights:
        """M8: 0.6 label + 0.4 teacher where there is a label, the teacher alone where there is none; T = 1.5."""
        return cls(where_absent=1.0, where_present=0.4, label=0.6, temperature=1.5)


def consistency_ramp(epoch: float, epochs: float = 15, top: float = 0.4) -> float:
    """M5's weight of the teacher: top exp(-5 (1 - min(epoch, epochs) / epochs)^2)."""
    return top * math.exp(-5 * (1 - min(epoch, epochs) / epochs) ** 2)


class Teacher:
    """The providers `ema_teacher` and `frozen_teacher`.

    Args:
        module: the teacher network; for an average, a copy of the student (`copy.deepcopy`).
        weights: how much its word counts.
        ramp: factor on its word by epoch; None for 1.
        rate: of the moving average; None freezes the teacher.
        tasks: those it is asked about.
        perturb: changes the batch before the teacher sees it (M5 varies brightness); None shows it as it is.
    """

    def __init__(
        self,
        module: nn.Module,
        weights: TeacherWeights,
        *,
        ramp: Callable[[float], float] | None = None,
        rate: float | None = None,
        tasks: tuple[Task, ...] = TASKS,
        perturb: Callable[[Batch], Batch] | None = None,
    ) -> None:
        if rate is not None and not 0 <= rate < 1:
            raise ValueError(f"the rate of an average must be from 0 to below 1, got {rate}")
        self.module = module.eval().requires_grad_(False)
        self.weights, self.ramp, self.rate, self.tasks, self.perturb = weights, ramp, rate, tasks, perturb
        self.step = 0

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Follow the student after an optimiser step: t <- r t + (1 - r) s, r = min(1 - 1 / (step + 1), rate).

        The first step copies the student. A frozen teacher stays as it is. The two must hold the same names.
        """
        if self.rate is None:
            return
        rate = min(1 - 1 / (self.step + 1), self.rate)
        theirs = student.state_dict()
        mine = self.module.state_dict()
        if mine.keys() != theirs.keys():
            odd = sorted(mine.keys() ^ theirs.keys())
            raise ValueError(f"teacher and student must be the same network; not in both: {', '.join(odd[:5])}")
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name].to(value.dtype), 1 - rate)
            else:
                value.copy_(theirs[name])
        self.step += 1

    @torch.no_grad()
    def __call__(self, batch: Batch, epoch: float = 0) -> Targets:
        said: Mapping[str, Tensor] = self.module(batch if self.perturb is None else self.perturb(batch))
        factor = 1.0 if self.ramp is None else self.ramp(epoch)
        masks, values = label_masks(batch), label_values(batch)
        targets: Targets = {}
        for task in TASKS:
            label = Target(values[task], masks[task] * self.weights.label)
            if task not in self.tasks:
                targets[task] = (Target(values[task], masks[task]),)
                continue
            if OUTPUTS[task] not in said:
                raise KeyError(f"a teacher of {task} must give {OUTPUTS[task]}, it gives {', '.join(said)}")
            present = masks[task]
            weight = factor * (present * self.weights.where_present + (1 - present) * self.weights.where_absent)
            if "is_frame" in batch:
                there = batch["is_frame"].to(weight.dtype)
                weight = weight * (there[..., None] if task == "AU" else there)
            value = self._value(task, said[OUTPUTS[task]])
            targets[task] = (label, Target(value, weight, "teacher", self.weights.temperature))
        return targets

    def _value(self, task: Task, output: Tensor) -> Tensor:
        hot = self.weights.temperature
        if task == "AU":
            return torch.sigmoid(output / hot)
        if task == "EXPR":
            if self.weights.hard_expression:
                return functional.one_hot(output.argmax(-1), output.shape[-1]).to(output.dtype)
            return torch.softmax(output / hot, -1)
        return output if output.shape[-1] == 2 else torch.softmax(output / hot, -1)

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on: the average and its step."""
        return {"module": self.module.state_dict(), "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.step = int(state["step"])

"""A teacher that is the moving average of its student (Tarvainen & Valpola 2017), as in M5; or one
that stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from faceaffect.labels import EXPRESSION_NAMES


class Teacher:
    """A copy of a network in evaluation mode.

    With `decay` it follows its student after each step, t' = d t' + (1 - d) s with d = min(1 - 1
    / (step + 1), decay) and one count of steps for the whole run; buffers (running statistics)
    are averaged too. With `decay` 1 it is frozen.
    """

    def __init__(self, student: nn.Module, decay: float = 0.99) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"a teacher's decay must lie in [0, 1], got {decay}")
        self.net = copy.deepcopy(student).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Call after each step of the student's optimizer."""
        self.steps += 1
        if self.decay == 1:
            return
        kept = min(1 - 1 / (self.steps + 1), self.decay)
        for own, new in zip(
            self.net.state_dict().values(), student.state_dict().values(), strict=True
        ):
            if own.dtype.is_floating_point:
                own.lerp_(new, 1 - kept)
            else:
                own.copy_(new)

    @torch.no_grad()
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.net(batch)
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, and the count of steps as `teacher_steps`."""
        return {**self.net.state_dict(), "teacher_steps": torch.tensor(self.steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.steps = int(state["teacher_steps"])
        self.net.load_state_dict(
            {name: value for name, value in state.items() if name != "teacher_steps"}
        )


def pseudo_targets(batch: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The teacher's answers as labels where the batch has none, masks turned round: expression
    hard, AU and va soft (M5).

    Only tasks that the teacher answers are there; what is labeled is masked out.
    """
    found: dict[str, Tensor] = {}
    if "au_logit" in teacher and "au_mask" in batch:
        found |= {"au": torch.sigmoid(teacher["au_logit"]), "au_mask": 1 - batch["au_mask"].float()}
    if "expression_logit" in teacher and "expression_mask" in batch:
        best = teacher["expression_logit"][..., : len(EXPRESSION_NAMES)].argmax(dim=-1)
        found |= {"expression": best, "expression_mask": 1 - batch["expression_mask"].float()}
    if "va" in teacher and "va_mask" in batch:
        found |= {"va": teacher["va"].clamp(-1, 1), "va_mask": 1 - batch["va_mask"].float()}
    return found

"""Absent labels are ignored: the masks are the weights (M1 to M4, M7)."""

from __future__ import annotations

from training.datasets.targets.target import Batch, Target, Targets, label_masks, label_values


class LabelsOnly:
    """The provider `ignore`."""

    def __call__(self, batch: Batch, epoch: float = 0) -> Targets:
        masks, values = label_masks(batch), label_values(batch)
        return {task: (Target(values[task], masks[task]),) for task in values}

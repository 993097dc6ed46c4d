"""Absent labels become stored predictions of models that were trained before (M6; the last stage of M1).

`fill_labels` writes a table once. True labels always win. Only rows whose video is in the training split of a task (or in
no split of it) are filled for that task: held-out videos are measured against true labels, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.datasets.frame_table import SPLITS, TASKS, FrameTable, Rows
from training.datasets.targets.target import Batch, Target, Targets, label_masks, label_values

VA_LIMIT: Final = 0.99


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Which predictions are sure enough to become labels. The default takes all, as M6 does."""

    expression_from: float = 0.0  # least probability of the best class
    au_margin: float = 0.0  # least distance of every AU's probability from 0.5; a row counts as a whole

    @classmethod
    def confident(cls) -> KeepRule:
        """The thresholds proposed for M1's last stage, whose own procedure is not known."""
        return cls(expression_from=0.9, au_margin=0.3)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What models said of some rows; a task that was not predicted is None."""

    rows: Rows  # [K]
    au: NDArray[np.float32] | None = None  # [K, 12] probabilities
    expression: NDArray[np.float32] | None = None  # [K, 7] probabilities
    va: NDArray[np.float32] | None = None  # [K, 2]

    def __post_init__(self) -> None:
        for name, width in (("au", 12), ("expression", 7), ("va", 2)):
            value = getattr(self, name)
            if value is not None and value.shape != (len(self.rows), width):
                raise ValueError(f"{name} must have shape {(len(self.rows), width)}, got {value.shape}")
            if value is not None and not np.isfinite(value).all():
                raise ValueError(f"{name} holds NaN or infinity")


@dataclass(frozen=True, slots=True, eq=False)
class FilledTable:
    """A table with pseudo labels, and where they stand."""

    table: FrameTable
    is_pseudo: NDArray[np.bool_]  # [N, 3] by task

    def batch_mask(self, rows: Rows) -> NDArray[np.bool_]:
        """The entry `pseudo` [..., 3] of a batch of these rows; frames that are not there are no pseudo labels."""
        return self.is_pseudo[rows] & (rows >= 0)[..., None]


def fill_labels(table: FrameTable, predictions: Predictions, rule: KeepRule | None = None) -> FilledTable:
    """The table with hard labels where there were none: AU p > 0.5, the best expression, VA within +-0.99."""
    rule = rule or KeepRule()
    rows = predictions.rows
    columns: dict[str, Any] = {
        name: getattr(table, name).copy() for name in ("au", "au_mask", "expression", "expression_mask", "va", "va_mask")
    }
    is_pseudo = np.zeros((len(table), len(TASKS)), bool)
    held_out = np.isin(table.splits, [SPLITS.index("validation"), SPLITS.index("test")])[table.video[rows]]
    known = table.masks[rows]
    for k, (task, name) in enumerate(zip(TASKS, ("au", "expression", "va"), strict=True)):
        said = getattr(predictions, name)
        if said is None:
            continue
        sure = np.ones(len(rows), bool)
        if task == "AU":
            sure = np.asarray((np.abs(said - 0.5) >= rule.au_margin).all(axis=1))
            said = (said > 0.5).astype(np.float32)
        elif task == "EXPR":
            sure = np.asarray(said.max(axis=1) >= rule.expression_from)
            said = said.argmax(axis=1).astype(np.int8)
        else:
            said = np.clip(said, -VA_LIMIT, VA_LIMIT)
        fill = sure & ~known[:, k] & ~held_out[:, k]
        columns[name][rows[fill]] = said[fill]
        columns[f"{name}_mask"][rows[fill]] = True
        is_pseudo[rows[fill], k] = True
    return FilledTable(replace(table, **columns), is_pseudo)


class OfflinePseudo:
    """The provider `offline_pseudo`: labels out of a filled table, pseudo labels apart and with a weight of their own.

    Batches need the entry `pseudo` [..., 3], from `FilledTable.batch_mask`.
    """

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, batch: Batch, epoch: float = 0) -> Targets:
        if "pseudo" not in batch:
            raise KeyError("batches for pseudo labels need the entry `pseudo` of FilledTable.batch_mask")
        masks, values = label_masks(batch), label_values(batch)
        targets: Targets = {}
        for k, task in enumerate(TASKS):
            pseudo = batch["pseudo"][..., k].to(torch.float32)
            pseudo = pseudo[..., None] if task == "AU" else pseudo
            true, filled = masks[task] * (1 - pseudo), masks[task] * pseudo * self.weight
            targets[task] = (Target(values[task], true), Target(values[task], filled, "pseudo"))
        return targets

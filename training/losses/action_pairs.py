"""Losses over groups of one face: a twin, then the same face with a unit added at two strengths."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

LEVELS: Final = 3
_MARGIN: Final = 2.5  # logits between neighboring levels of the added unit


def action_order(logit: Tensor, unit: Tensor) -> Tensor:
    """The added unit's logit rises from level to level.

    Args:
        logit: AU logits [G, 3, 12] of groups in the order of the levels.
        unit: Column [G] of the added unit; negative for one that the model has no output for.
    """
    rows = torch.nonzero(unit >= 0).squeeze(1)
    if not len(rows):
        return logit.sum() * 0
    own = logit[rows, :, unit[rows]]  # [K, 3]
    return functional.softplus(_MARGIN - own.diff(dim=1)).mean()


def others_stay(logit: Tensor, free: Tensor) -> Tensor:
    """Logits of the other units stay where the twin has them.

    Args:
        logit: AU logits [G, 3, 12].
        free: Units [G, 12] that may change, among them the added one.
    """
    moved = logit[:, 1:] - logit[:, :1]
    held = (~free).to(logit.dtype)[:, None]
    loss = functional.smooth_l1_loss(moved, torch.zeros_like(moved), reduction="none")
    return (loss * held).sum() / (held.sum() * (LEVELS - 1)).clamp(min=1)

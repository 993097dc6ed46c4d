"""Means over what is labeled."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask`, of the same shape, is above 0 (and by it, where it is a
    weight); 0 if nowhere.
    """
    kept = torch.where(mask > 0, values, torch.zeros_like(values))
    return (kept * mask).sum() / mask.sum().clamp(min=1e-6)


def filled(target: Tensor, mask: Tensor, value: float = 0.0) -> Tensor:
    """The target with `value` where it is not known, so that a marker or NaN there cannot reach a
    gradient.
    """
    return torch.where(mask > 0, target, torch.full_like(target, value))

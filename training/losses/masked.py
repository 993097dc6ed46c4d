"""Means over labeled samples."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` weighted by `mask` of the same shape (entries of 0 are not read); 0 if all
    are 0.
    """
    kept = torch.where(mask > 0, values, torch.zeros_like(values))
    return (kept * mask).sum() / mask.sum().clamp(min=1e-6)


def filled(target: Tensor, mask: Tensor, value: float = 0.0) -> Tensor:
    """The target with `value` where it is unlabeled, so that a marker or NaN there cannot reach a
    gradient.
    """
    return torch.where(mask > 0, target, torch.full_like(target, value))

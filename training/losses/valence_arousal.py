"""Losses of valence and arousal [N, 2] with mask [N]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.masked import filled, masked_mean
from training.models.tasks.value_bins import bin_of


def ccc(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Concordance correlation coefficient [C] of two [N, C] by weights [N] (Lin 1989; population
    moments).
    """
    w = (weight / weight.sum().clamp(min=1e-6))[:, None]
    first_mean = (w * first).sum(0)
    second_mean = (w * second).sum(0)
    a, b = first - first_mean, second - second_mean
    covariance = (w * a * b).sum(0)
    spread = (w * a * a).sum(0) + (w * b * b).sum(0) + (first_mean - second_mean) ** 2
    return 2 * covariance / (spread + 1e-8)


def _labeled(value: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    wide = mask[:, None].expand_as(value)
    return filled(target, wide), wide


def smooth_l1(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Smooth L1 with beta 1, summed over the two dimensions (M1)."""
    target, wide = _labeled(value, target, mask)
    return 2 * masked_mean(functional.smooth_l1_loss(value, target, reduction="none"), wide)


def mse(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error (M6)."""
    target, wide = _labeled(value, target, mask)
    return masked_mean((value - target) ** 2, wide)


def ccc_loss(value: Tensor, target: Tensor, mask: Tensor, weight: float = 1.0) -> Tensor:
    """`weight` (1 - CCC), summed over both dimensions; 0 for fewer than two labeled samples."""
    target, _ = _labeled(value, target, mask)
    if (mask > 0).sum() < 2:
        return (value * 0).sum()
    return weight * (1 - ccc(value, target, mask)).sum()


def bins_ce(logit: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of bin logits [N, 2, bins], summed over the two dimensions (M8)."""
    target = filled(target, mask[:, None].expand_as(target))
    bins = bin_of(target, logit.shape[2])
    loss = functional.cross_entropy(logit.flatten(0, 1), bins.flatten(), reduction="none").reshape(
        -1, 2
    )
    return masked_mean(loss.sum(dim=1), mask)


def mse_ccc(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error of tanh(raw) [N, 2], plus 0.3 (1 - CCC) for a total weight of at least 2."""
    value = torch.tanh(raw)
    error = masked_mean(((value - target) ** 2).sum(dim=1), weight)
    if weight.sum() < 2:
        return error
    return error + 0.3 * (1 - ccc(value, target, weight)).mean()

"""Losses that need no label of their own: distillation, consistency with a teacher, self-cure."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.masked import masked_mean


def distil_classes(
    logit: Tensor, teacher: Tensor, mask: Tensor, temperature: float = 1.5
) -> Tensor:
    """T^2 KL(teacher || student) of softened distributions over the last axis, mean over [N] of
    `mask` (M8; Hinton 2015).

    Logits are [N, C], or [N, 2, bins], whose two are summed.
    """
    soft = functional.log_softmax(teacher.detach() / temperature, dim=-1)
    own = functional.log_softmax(logit / temperature, dim=-1)
    divergence = (soft.exp() * (soft - own)).sum(dim=-1)
    return temperature**2 * masked_mean(
        divergence.flatten(1).sum(dim=1) if divergence.ndim > 1 else divergence, mask
    )


def distil_values(value: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared distance from a teacher's vector [N, D], summed over D (M1's student and its
    deviation).
    """
    return masked_mean(((value - teacher.detach()) ** 2).sum(dim=1), mask)


def ramp(epoch: float, length: float = 15.0, most: float = 0.4) -> float:
    """Weight of the consistency terms, `most` exp(-5 (1 - e / length)^2) until `length` (M5)."""
    return most * math.exp(-5 * (1 - min(epoch, length) / length) ** 2)


def rank_regularization(alpha: Tensor, share: float = 0.7, margin: float = 0.15) -> Tensor:
    """max(0, mean of the lower alphas - mean of the upper `share` + margin) over a batch [N] (M5;
    Wang et al. 2020).

    0 for a batch of one, which has no order.
    """
    count = min(len(alpha) - 1, max(1, round(share * len(alpha))))
    if len(alpha) < 2:
        return (alpha * 0).sum()
    ordered = alpha.sort(descending=True).values
    return torch.relu(ordered[count:].mean() - ordered[:count].mean() + margin)

"""Losses without labels: distillation, consistency with a teacher, self-cure."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.masked import masked_mean


def distill_classes(
    logit: Tensor, teacher: Tensor, mask: Tensor, temperature: float = 1.5
) -> Tensor:
    """T^2 KL(teacher || student) of softened distributions over the last axis, mean over [N] of
    `mask` (M8; Hinton 2015).

    Logits are [N, C], or [N, 2, bins], summed over the two dimensions.
    """
    teacher_log = functional.log_softmax(teacher.detach() / temperature, dim=-1)
    student_log = functional.log_softmax(logit / temperature, dim=-1)
    divergence = (teacher_log.exp() * (teacher_log - student_log)).sum(dim=-1)
    return temperature**2 * masked_mean(
        divergence.flatten(1).sum(dim=1) if divergence.ndim > 1 else divergence, mask
    )


def distill_values(value: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Squared distance from a teacher's vector [N, D], summed over D (M1's student and its
    deviation).
    """
    return masked_mean(((value - teacher.detach()) ** 2).sum(dim=1), mask)


def sigmoid_rampup(epoch: float, length: float = 15.0, peak: float = 0.4) -> float:
    """Weight of the consistency terms, `peak` exp(-5 (1 - epoch / length)^2) until `length` (M5;
    Laine & Aila 2017).
    """
    return peak * math.exp(-5 * (1 - min(epoch, length) / length) ** 2)


def rank_regularization(alpha: Tensor, fraction: float = 0.7, margin: float = 0.15) -> Tensor:
    """max(0, mean of the lower alphas - mean of the upper `fraction` + margin) over a batch [N]
    (M5; Wang et al. 2020); 0 for a batch of one.
    """
    count = min(len(alpha) - 1, max(1, round(fraction * len(alpha))))
    if len(alpha) < 2:
        return (alpha * 0).sum()
    ordered = alpha.sort(descending=True).values
    return torch.relu(ordered[count:].mean() - ordered[:count].mean() + margin)

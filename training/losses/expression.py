"""Losses of expression logits [N, C] against class indices [N], or distributions [N, C], with mask
[N].
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.losses.masked import filled, masked_mean


def _classes(target: Tensor, mask: Tensor) -> Tensor:
    return filled(target, mask).long()


def ce_smooth(
    logit: Tensor,
    target: Tensor,
    mask: Tensor,
    eps: float = 0.0,
) -> Tensor:
    """(1 - eps) of the true class's cross-entropy and eps of the mean over classes."""
    classes = _classes(target, mask)
    log_probability = functional.log_softmax(logit, dim=1)
    cross_entropy = -log_probability.gather(1, classes[:, None])[:, 0]
    return masked_mean((1 - eps) * cross_entropy + eps * -log_probability.mean(dim=1), mask)


def focal_softmax(
    logit: Tensor, target: Tensor, mask: Tensor, gamma: float = 2.0, smooth: float = 1e-4
) -> Tensor:
    """-(1 - p)^gamma log p of the true class, its p kept in [smooth, 1 - smooth] (M3; Lin et al.
    2017).
    """
    p = (
        logit.softmax(dim=1)
        .gather(1, _classes(target, mask)[:, None])[:, 0]
        .clamp(smooth, 1 - smooth)
    )
    return masked_mean(-((1 - p) ** gamma) * p.log(), mask)


def focal_sigmoid(
    logit: Tensor, target: Tensor, mask: Tensor, gamma: float = 2.0, alpha: float = 0.25
) -> Tensor:
    """Binary focal loss on each class of the one-hot label, mean over classes (M2)."""
    one_hot = functional.one_hot(_classes(target, mask), logit.shape[1]).to(logit.dtype)
    entropy = functional.binary_cross_entropy_with_logits(logit, one_hot, reduction="none")
    p = torch.sigmoid(logit)
    missed = torch.where(one_hot > 0, 1 - p, p)
    weight = torch.where(one_hot > 0, torch.full_like(p, alpha), torch.full_like(p, 1 - alpha))
    return masked_mean((weight * missed**gamma * entropy).mean(dim=1), mask)


def distribution_ce(
    logit: Tensor, distribution: Tensor, weight: Tensor, class_weight: Tensor
) -> Tensor:
    """Cross-entropy against distributions [N, C] (votes) with sample weights [N] and class weights
    [C].
    """
    log_probability = functional.log_softmax(logit, dim=1)
    return masked_mean(-(distribution * class_weight * log_probability).sum(dim=1), weight)


def inverse_frequency_weights(
    distribution: NDArray[np.float32], weight: NDArray[np.float32], power: float = 0.25
) -> Tensor:
    """Weight of each class [C] by (1 / frequency) ** power, of mean one over the data."""
    frequency = (distribution * weight[:, None]).sum(axis=0) / weight.sum()
    raw = 1 / np.maximum(frequency, 1e-4) ** power
    return torch.from_numpy((raw / (raw * frequency).sum()).astype(np.float32))

"""Losses of AU outputs against 0/1 or soft labels [N, 12] with mask [N, 12]."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.masked import filled, masked_mean


def inverse_rate_weights(active: Tensor, known: Tensor) -> Tensor:
    """Weight of each AU [12]: the inverse of its rate of activation, of mean one (M1, M4).

    Rates are clamped to at least 0.01, or an AU that is never active would outweigh all others.
    """
    rate = ((active * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)).clamp(min=0.01)
    return (1 / rate) / (1 / rate).mean()


def bce(
    logit: Tensor,
    target: Tensor,
    mask: Tensor,
    positive_weight: tuple[float, ...] = (),
    summed: bool = False,
) -> Tensor:
    """Binary cross-entropy, mean over labeled entries; `summed` adds the means of the AUs instead
    (M5).
    """
    weight = logit.new_tensor(positive_weight) if positive_weight else None
    loss = functional.binary_cross_entropy_with_logits(
        logit, filled(target, mask), pos_weight=weight, reduction="none"
    )
    if not summed:
        return masked_mean(loss, mask)
    return sum(
        (masked_mean(loss[:, k], mask[:, k]) for k in range(loss.shape[1])), loss.new_zeros(())
    )


def shifted_bce(
    logit: Tensor,
    target: Tensor,
    mask: Tensor,
    positive_weight: tuple[float, ...] = (),
    shift: float = 0.05,
) -> Tensor:
    """-(w y log((p + s) / (1 + s)) + (1 - y) log((1 + s - p) / (1 + s))): bounded for confident
    errors (M2's sequence outputs).
    """
    p = torch.sigmoid(logit)
    y = filled(target, mask)
    weight = logit.new_tensor(positive_weight) if positive_weight else torch.ones_like(logit[:1])
    active = ((p + shift) / (1 + shift)).log()
    inactive = ((1 + shift - p) / (1 + shift)).log()
    return masked_mean(-(weight * y * active + (1 - y) * inactive), mask)


def multi_label_ce(logit: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """log(1 + sum_{y=0} e^q) + log(1 + sum_{y=1} e^-q) of each row (M1): pushes logits of active
    AUs above 0, all others below.
    """
    y = filled(target, mask)
    excluded = torch.full_like(logit, -1e9)
    is_active = (y > 0.5) & (mask > 0)
    is_inactive = (y <= 0.5) & (mask > 0)
    above = torch.where(is_active, -logit, excluded)
    below = torch.where(is_inactive, logit, excluded)
    zero = torch.zeros_like(logit[:, :1])
    loss = torch.cat([zero, above], dim=1).logsumexp(dim=1) + torch.cat(
        [zero, below], dim=1
    ).logsumexp(dim=1)
    return masked_mean(loss, (mask > 0).any(dim=1).to(loss.dtype))


def pair_ce(
    pair: Tensor,
    target: Tensor,
    mask: Tensor,
    eps: float = 0.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Two-class cross-entropy of pairs [N, 12, 2], smoothed as `ce_smooth`; `class_weight` [12]
    weights AUs (M1, M4).
    """
    y = filled(target, mask)
    log_probability = functional.log_softmax(pair, dim=2)
    cross_entropy = -(y * log_probability[..., 1] + (1 - y) * log_probability[..., 0])
    loss = (1 - eps) * cross_entropy + eps * -log_probability.mean(dim=2)
    return masked_mean(loss, mask if class_weight is None else mask * class_weight)


def pair_dice(
    pair: Tensor,
    target: Tensor,
    mask: Tensor,
    class_weight: Tensor | None = None,
    smooth: float = 1.0,
) -> Tensor:
    """Dice loss 1 - (2 sum p y + s) / (sum p^2 + sum y^2 + s), weighted mean of the AUs (M4)."""
    p = pair.softmax(dim=2)[..., 1] * (mask > 0)
    y = filled(target, mask)
    loss = 1 - (2 * (p * y).sum(dim=0) + smooth) / (
        (p * p).sum(dim=0) + (y * y).sum(dim=0) + smooth
    )
    is_known = (mask > 0).any(dim=0).to(loss.dtype)
    return masked_mean(loss, is_known if class_weight is None else is_known * class_weight)


def value_l1(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean distance of AU values from their labels (M7's mapping)."""
    return masked_mean((value - filled(target, mask)).abs(), mask)

"""Losses of valence and arousal [N, 2] with mask [N]."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from training.default_model.losses import ccc
from training.losses.masked import filled, masked_mean
from training.models.tasks.value_bins import bin_of


def _known(value: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    wide = mask[:, None].expand_as(value)
    return filled(target, wide), wide


def smooth_l1(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Smooth L1 with its bend at 1, summed over the two dimensions (M1)."""
    target, wide = _known(value, target, mask)
    return 2 * masked_mean(functional.smooth_l1_loss(value, target, reduction="none"), wide)


def mse(value: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error (M6)."""
    target, wide = _known(value, target, mask)
    return masked_mean((value - target) ** 2, wide)


def ccc_loss(value: Tensor, target: Tensor, mask: Tensor, share: float = 1.0) -> Tensor:
    """Sum over both dimensions of `share` (1 - CCC); 0 for fewer than two labeled samples."""
    target, _ = _known(value, target, mask)
    if (mask > 0).sum() < 2:
        return (value * 0).sum()
    return share * (1 - ccc(value, target, mask)).sum()


def bins_ce(logit: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of bins' logits [N, 2, bins], summed over the two dimensions (M8)."""
    target = filled(target, mask[:, None].expand_as(target))
    places = bin_of(target, logit.shape[2])
    loss = functional.cross_entropy(
        logit.flatten(0, 1), places.flatten(), reduction="none"
    ).unflatten(0, (-1, 2))
    return masked_mean(loss.sum(dim=1), mask)

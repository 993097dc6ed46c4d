"""Ranking losses of pairs (M7) and triplets (M1) of images."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.masked import masked_mean


def pair_hinge(first: Tensor, second: Tensor, order: Tensor, margin: float = 1.0) -> Tensor:
    """Mean of max(0, margin - (second - first) order) of pseudo-intensities [N, ...].

    `order` is +1 where the second is higher, -1 where it is lower, 0 where the pair does not
    count.
    """
    return masked_mean(torch.relu(margin - (second - first) * order), order.abs())


def pair_gauss(
    first: Tensor,
    second: Tensor,
    first_log_sigma: Tensor,
    second_log_sigma: Tensor,
    order: Tensor,
    margin: float = 1.0,
) -> Tensor:
    """-mean log(1 - Phi((margin - (second - first) order) / sqrt(sigma_1^2 + sigma_2^2))) with the
    probability clamped to at least 1e-10.

    Intensities get no gradient; their uncertainty does, and grows where the order is wrong.
    """
    spread = (2 * first_log_sigma).exp() + (2 * second_log_sigma).exp()
    beyond = ((second - first).detach() * order - margin) / spread.sqrt()
    probability = 0.5 * torch.erfc(-beyond * 0.5**0.5)
    return masked_mean(-probability.clamp(min=1e-10).log(), order.abs())


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: Tensor) -> Tensor:
    """Mean of max(0, d(a, p) - d(a, n) + g) + max(0, d(a, p) - d(p, n) + g) of codes [N, D].

    d is the squared distance, g the margin [N] (FECNet, Vemulapalli & Agarwala 2019; M1's prior).
    """
    near = ((anchor - positive) ** 2).sum(dim=1)
    far = [((each - negative) ** 2).sum(dim=1) for each in (anchor, positive)]
    return torch.stack([torch.relu(near - each + margin) for each in far]).sum(dim=0).mean()

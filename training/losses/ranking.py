"""Losses on comparisons: pairs of frames (M7) and triplets of faces (DLN, for M1)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.masked import masked_mean


def pair_hinge(first: Tensor, second: Tensor, order: Tensor, margin: float = 1.0) -> Tensor:
    """mean max(0, margin - (second - first) order) of pseudo-intensities [N, ...].

    `order` is +1 where the second is higher, -1 where it is lower, 0 where the two are not to be
    compared.
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
    """-mean log(1 - Phi((margin - (second - first) order) / sqrt(sigma_1^2 + sigma_2^2))), the
    probability kept above 1e-10.

    Intensities are taken as they are; only their uncertainty learns, which grows where the order
    is wrong.
    """
    spread = (2 * first_log_sigma).exp() + (2 * second_log_sigma).exp()
    beyond = ((second - first).detach() * order - margin) / spread.sqrt()
    probability = 0.5 * torch.erfc(-beyond * 0.5**0.5)
    return masked_mean(-probability.clamp(min=1e-10).log(), order.abs())


def triplet(anchor: Tensor, like: Tensor, unlike: Tensor, margin: Tensor | float = 0.1) -> Tensor:
    """Hinge on squared distances of codes [N, 16]: the alike pair nearer than either other pair by
    `margin` (FECNet).

    Margins are 0.1 for triplets of one or two classes of expressions, 0.2 for three.
    """
    near = ((anchor - like) ** 2).sum(dim=1)
    far = [((each - unlike) ** 2).sum(dim=1) for each in (anchor, like)]
    return (torch.relu(near - far[0] + margin) + torch.relu(near - far[1] + margin)).mean()

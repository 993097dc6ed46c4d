"""The alignment loss of M4."""

from __future__ import annotations

from torch import Tensor

from training.losses.masked import filled, masked_mean
from training.models.encoders.au_attention import OUTER_AND_INNER_EYES


def landmark_loss(landmarks: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Sum over 49 points [N, 49, 2] of squared distances over twice the squared distance of the
    eyes' centers; mask [N].
    """
    target = filled(target, mask[:, None, None].expand_as(target))
    centers = [target[:, list(corners)].mean(dim=1) for corners in OUTER_AND_INNER_EYES]
    apart = ((centers[0] - centers[1]) ** 2).sum(dim=1).clamp(min=1e-6)
    return masked_mean(((landmarks - target) ** 2).sum(dim=(1, 2)) / (2 * apart), mask)

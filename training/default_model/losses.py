"""One loss per task; every one is a weighted mean over what is labeled, and 0 where nothing is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EYE_DISTANCE_PX = 35.0
_SMALL = 1e-6


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` by `weights` of the same shape; 0 where all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=_SMALL)


def au_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy over soft AU targets [N, 12], masked by weights."""
    return weighted_mean(
        functional.binary_cross_entropy_with_logits(logit, target, reduction="none"), weight
    )


def expression_loss(
    logit: Tensor, distribution: Tensor, weight: Tensor, class_weight: Tensor
) -> Tensor:
    """Cross-entropy against vote distributions [N, 7]; rare classes count more by `class_weight`
    [7].
    """
    log_probability = functional.log_softmax(logit, dim=1)
    return weighted_mean(-(distribution * class_weight * log_probability).sum(dim=1), weight)


def ccc(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Concordance correlation coefficient [C] of two [N, C] by weights [N] (Lin 1989; population
    moments).
    """
    share = (weight / weight.sum().clamp(min=_SMALL))[:, None]
    a_mean, b_mean = (share * first).sum(0), (share * second).sum(0)
    a, b = first - a_mean, second - b_mean
    covariance = (share * a * b).sum(0)
    spread = (share * a * a).sum(0) + (share * b * b).sum(0) + (a_mean - b_mean) ** 2
    return 2 * covariance / (spread + 1e-8)


def va_loss(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error plus 1 - CCC of tanh(raw) [N, 2]."""
    value = torch.tanh(raw)
    error = weighted_mean(((value - target) ** 2).sum(dim=1), weight)
    if weight.sum() < 2:
        return error
    return error + 0.3 * (1 - ccc(value, target, weight)).mean()


def landmark_error(landmarks: Tensor, target: Tensor) -> Tensor:
    """Mean distance of 68 points [N], in eye distances of an aligned crop."""
    return (landmarks - target).norm(dim=2).mean(dim=1) / EYE_DISTANCE_PX


def landmark_loss(landmarks: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 in pixels with its bend at 1 px, in eye distances."""
    error = functional.smooth_l1_loss(landmarks, target, beta=1.0, reduction="none").mean(
        dim=(1, 2)
    )
    return weighted_mean(error, weight) / EYE_DISTANCE_PX


def pose_loss(pose_deg: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 in degrees with its bend at 4, in units of 20 degrees."""
    error = functional.smooth_l1_loss(pose_deg, target, beta=4.0, reduction="none").mean(dim=1)
    return weighted_mean(error, weight) / 20


def quality_target(error: Tensor, is_face: Tensor) -> Tensor:
    """exp(-landmark error / 5 % of the eye distance) [N], 0 where there is no face; no gradient."""
    return (torch.exp(-error / 0.05) * is_face).detach()

"""Losses of landmarks and head pose, and the face quality derived from the landmark error."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.masked import filled, masked_mean
from training.models.encoders.au_attention import OUTER_AND_INNER_EYES

EYE_DISTANCE_PX = 35.0  # of an aligned crop


def landmark_loss(landmarks: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Sum over 49 points [N, 49, 2] of squared distances over twice the squared distance of the
    eye centers (M4); mask [N].
    """
    target = filled(target, mask[:, None, None].expand_as(target))
    centers = [target[:, list(corners)].mean(dim=1) for corners in OUTER_AND_INNER_EYES]
    eye_distance2 = ((centers[0] - centers[1]) ** 2).sum(dim=1).clamp(min=1e-6)
    return masked_mean(((landmarks - target) ** 2).sum(dim=(1, 2)) / (2 * eye_distance2), mask)


def landmark_smooth_l1(landmarks: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 in pixels of an aligned crop (beta 1 px), in eye distances; weight [N]."""
    error = functional.smooth_l1_loss(landmarks, target, beta=1.0, reduction="none").mean(
        dim=(1, 2)
    )
    return masked_mean(error, weight) / EYE_DISTANCE_PX


def landmark_error(landmarks: Tensor, target: Tensor) -> Tensor:
    """Mean distance of 68 points [N], in eye distances of an aligned crop."""
    distance: Tensor = (landmarks - target).norm(dim=2).mean(dim=1)
    return distance / EYE_DISTANCE_PX


def pose_smooth_l1(pose_deg: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 in degrees (beta 4), in units of 20 degrees; weight [N]."""
    error = functional.smooth_l1_loss(pose_deg, target, beta=4.0, reduction="none").mean(dim=1)
    return masked_mean(error, weight) / 20


def quality_target(error: Tensor, is_face: Tensor) -> Tensor:
    """exp(-landmark error / 5 % of the eye distance) [N], 0 where there is no face; no gradient."""
    return (torch.exp(-error / 0.05) * is_face).detach()

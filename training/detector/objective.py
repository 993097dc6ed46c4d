"""Losses of the detector: a heat map of face centers, and box and points from the cells at the
centers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.detector.network import STRIDE, cell_centers, decode

_SIGMA: Final = 0.10  # of the score around a face's center, in sides of the face
_MIN_SIGMA_PX: Final = 5.0
_MIN_REGRESSION_SCORE: Final = 0.5  # target score of cells that also learn box and points
BOX_WEIGHT: Final = 2.0
POINT_WEIGHT: Final = 4.0


def score_targets(boxes: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Target scores [N, h, w] of boxes [N, K, 4] (x1 = x2 for padding), and the face index of each
    cell.

    A Gaussian about each center whose largest cell is one (CenterNet, Zhou et al. 2019).
    """
    cells = cell_centers(rows, columns)
    centers = 0.5 * (boxes[..., :2] + boxes[..., 2:])
    side = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1).sqrt()
    spread = (_SIGMA * side).clamp(min=_MIN_SIGMA_PX)
    squared = ((cells[None, None] - centers[..., None, None]) ** 2).sum(dim=2)  # [N, K, h, w]
    heat = torch.exp(-squared / (2 * spread[..., None, None] ** 2)) * (side > 0)[..., None, None]
    largest = heat.flatten(2).amax(dim=2)[..., None, None].clamp(min=1e-6)
    scores, owners = (heat / largest * (side > 0)[..., None, None]).max(dim=1)
    return scores, owners


def focal_loss(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Penalty-reduced focal loss (Zhou et al. 2019) of maps [N, h, w], per face."""
    probability = torch.sigmoid(logit).clamp(1e-5, 1 - 1e-5)
    is_center = (target > 0.999).float()
    positive = is_center * (1 - probability) ** 2 * torch.log(probability)
    negative = (1 - is_center) * (1 - target) ** 4 * probability**2 * torch.log(1 - probability)
    return -((positive + negative) * weight).sum() / is_center.sum().clamp(min=1)


class DetectorObjective(nn.Module):
    """Losses of a batch of `image` [N, 3, H, W], `boxes` [N, K, 4], `points` [N, K, 5, 2] and
    `ignored` [N, I, 4].
    """

    def forward(
        self, net: nn.Module, batch: Mapping[str, Tensor], epoch: float
    ) -> dict[str, Tensor]:
        raw = net(batch["image"].contiguous(memory_format=torch.channels_last)).float()
        rows, columns = raw.shape[2:]
        target, owners = score_targets(batch["boxes"], rows, columns)
        weight = torch.maximum(
            _unless_ignored(batch["ignored"], rows, columns),
            (target >= _MIN_REGRESSION_SCORE).float(),
        )
        parts = {"score": focal_loss(raw[:, 0], target, weight)}
        cells = target >= _MIN_REGRESSION_SCORE
        image = torch.arange(len(raw))[:, None, None].expand_as(owners)[cells]
        faces = owners[cells]
        boxes, points = batch["boxes"][image, faces], batch["points"][image, faces]
        read = decode(raw).permute(0, 2, 3, 1)[cells]
        side = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().clamp(min=STRIDE)[:, None]
        score_weight = target[cells]
        parts["box"] = BOX_WEIGHT * _mean(_robust((read[:, :4] - boxes) / side), score_weight)
        parts["points"] = POINT_WEIGHT * _mean(
            _robust((read[:, 4:] - points.flatten(1)) / side), score_weight
        )
        parts["loss"] = parts["score"] + parts["box"] + parts["points"]
        return parts


def _robust(error: Tensor) -> Tensor:
    return functional.smooth_l1_loss(
        error, torch.zeros_like(error), beta=0.05, reduction="none"
    ).mean(dim=1)


def _mean(values: Tensor, score_weight: Tensor) -> Tensor:
    return (values * score_weight).sum() / score_weight.sum().clamp(min=1)


def _unless_ignored(regions: Tensor, rows: int, columns: int) -> Tensor:
    """1, but 0 in cells [N, h, w] whose center lies in one of the regions [N, I, 4]."""
    x, y = cell_centers(rows, columns)
    left, top, right, bottom = (regions[..., k, None, None] for k in range(4))
    is_inside: Tensor = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return (~is_inside.any(dim=1)).float()

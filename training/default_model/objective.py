"""Losses of the default model over a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.default_model.recipe import LossWeights
from training.engine.trainer import Objective
from training.losses.action_units import bce
from training.losses.expression import distribution_ce
from training.losses.landmarks import (
    landmark_error,
    landmark_smooth_l1,
    pose_smooth_l1,
    quality_target,
)
from training.losses.masked import masked_mean
from training.losses.valence_arousal import mse_ccc
from training.models.affect_net import AffectNet

MEAN: Final = (0.5, 0.5, 0.5)
STD: Final = (0.25, 0.25, 0.25)


def normalize(crops: Tensor) -> Tensor:
    """(v - mean) / std of crops in 0..1, as in the crop specification of the exported model."""
    return (crops - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def multi_task(weights: LossWeights, class_weight: Tensor) -> Objective:
    """Weighted sum of the losses of all heads; `class_weight` [7] weights expressions."""

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        assert isinstance(net, AffectNet)
        heads = net(normalize(batch["crops"]).contiguous(memory_format=torch.channels_last))
        parts = head_losses(net, heads, batch, class_weight)
        parts["loss"] = sum(getattr(weights, name) * value for name, value in parts.items())
        return parts

    return objective


def head_losses(
    net: AffectNet, heads: Mapping[str, Tensor], batch: Mapping[str, Tensor], class_weight: Tensor
) -> dict[str, Tensor]:
    """Loss of each head by name."""
    error = landmark_error(heads["landmarks_px"], batch["landmarks"])
    has_quality = ((batch["landmark_weight"] > 0) | (batch["face"] == 0)).float()
    quality_bce = functional.binary_cross_entropy_with_logits(
        heads["quality_logit"], quality_target(error, batch["face"]), reduction="none"
    )
    return {
        "au": bce(net.au_graph(heads["au_nodes"]), batch["au"], batch["au_weight"]),
        "expression": distribution_ce(
            heads["expression_logit"], batch["expression"], batch["expression_weight"], class_weight
        ),
        "va": mse_ccc(heads["va_raw"], batch["va"], batch["va_weight"]),
        "landmarks": landmark_smooth_l1(
            heads["landmarks_px"], batch["landmarks"], batch["landmark_weight"]
        ),
        "pose": pose_smooth_l1(heads["pose_deg"], batch["pose"], batch["pose_weight"]),
        "face": functional.binary_cross_entropy_with_logits(heads["face_logit"], batch["face"]),
        "quality": masked_mean(quality_bce, has_quality),
    }

"""Heads: AU nodes by attention, expression and VA, and geometry (landmarks, pose, face)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES, LANDMARK_COUNT
from training.models.mean_shape import MEAN_SHAPE_PX
from training.models.trunk import conv

COARSE_SIDE: Final = 7  # cells of the coarse map at 112 px; other crop sizes are resized to it
LANDMARK_UNIT_PX: Final = 10.0
POSE_UNIT_DEG: Final = 20.0


class AuNodes(nn.Module):
    """One attention map and one linear layer per AU over merged fine and coarse features (M4)."""

    def __init__(self, fine: int, coarse: int, width: int) -> None:
        super().__init__()
        self.fine = conv(fine, width, 1, relu=False)
        self.coarse = conv(coarse, width, 1, relu=False)
        self.attention = nn.Conv2d(width, len(AU_NAMES), 1)
        self.weight = nn.Parameter(torch.randn(len(AU_NAMES), width, width) * (2 / width) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(len(AU_NAMES), 1, width))

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:  # -> [N, 12, D]
        joined = torch.relu(
            self.fine(fine) + functional.interpolate(self.coarse(coarse), scale_factor=2.0)
        )
        attention = self.attention(joined).flatten(2).softmax(dim=2)  # [N, 12, cells]
        pooled = torch.matmul(attention, joined.flatten(2).transpose(1, 2))  # [N, 12, D]
        nodes = torch.matmul(pooled.transpose(0, 1), self.weight) + self.bias  # [12, N, D]
        return torch.relu(nodes).transpose(0, 1)


class AffectHead(nn.Module):
    """Expression, then valence and arousal; each task sees the previous one, as in M1.

    Valence and arousal depend on combinations of AUs, so they have a hidden layer over features
    and AU nodes beside the linear path. Its last layer is initialized to zero.
    """

    def __init__(
        self, coarse: int, node_width: int, width: int, dropout: float, va_hidden: int
    ) -> None:
        super().__init__()
        self.embed = conv(coarse, width, 1)
        self.from_nodes = nn.Linear(len(AU_NAMES) * node_width, 64)
        self.dropout = nn.Dropout(dropout)
        self.expression = nn.Linear(width + 64, len(EXPRESSION_NAMES))
        self.va = nn.Linear(width + 64 + len(EXPRESSION_NAMES), 2)
        self.va_hidden = nn.Linear(width + 64 + len(AU_NAMES) * node_width, va_hidden)
        self.va_joint = nn.Linear(va_hidden, 2)
        for part in (self.va_joint.weight, self.va_joint.bias):
            nn.init.zeros_(part)

    def forward(self, coarse: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:  # -> [N, 7], [N, 2]
        pooled = self.embed(coarse).mean(dim=(2, 3))
        units = nodes.flatten(1)
        features = self.dropout(torch.cat([pooled, torch.relu(self.from_nodes(units))], dim=1))
        expression = self.expression(features)
        joint = self.va_joint(torch.relu(self.va_hidden(torch.cat([features, units], dim=1))))
        return expression, self.va(torch.cat([features, expression], dim=1)) + joint


class GeometryHead(nn.Module):
    """Landmarks as offsets of a mean shape, pose, face and quality from the unpooled coarse map."""

    mean_shape: Tensor

    def __init__(self, coarse: int, channels: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean_shape", torch.from_numpy(MEAN_SHAPE_PX.copy()))
        self.reduce = conv(coarse, channels, 1)
        self.hidden = nn.Linear(channels * COARSE_SIDE**2, width)
        self.landmarks = nn.Linear(width, LANDMARK_COUNT * 2)
        self.pose = nn.Linear(width, 3)
        self.face = nn.Linear(width, 1)
        self.quality = nn.Linear(width, 1)

    def forward(self, coarse: Tensor) -> dict[str, Tensor]:
        cells = self.reduce(coarse)
        if cells.shape[-1] != COARSE_SIDE:
            cells = functional.interpolate(
                cells, (COARSE_SIDE, COARSE_SIDE), mode="bilinear", align_corners=False
            )
        hidden = torch.relu(self.hidden(cells.flatten(1)))
        offsets = self.landmarks(hidden).reshape(-1, LANDMARK_COUNT, 2) * LANDMARK_UNIT_PX
        return {
            "landmarks_px": self.mean_shape + offsets,
            "pose_deg": self.pose(hidden) * POSE_UNIT_DEG,
            "face_logit": self.face(hidden).squeeze(1),
            "quality_logit": self.quality(hidden).squeeze(1),
        }

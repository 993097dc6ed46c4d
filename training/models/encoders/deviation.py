"""Deviation embedding of M1: expression without identity (after DLN, Zhang et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.backbones.build_backbone import build_backbone, width_of


class FaceEmbedding(nn.Module):
    """[N, 3, S, S] -> unit vectors [N, embedding]; Inception-ResNet-v1 has its own projection."""

    def __init__(self, trunk: str, embedding: int) -> None:
        super().__init__()
        self.trunk = build_backbone(trunk)
        self.project: nn.Module | None = None
        if trunk != "inception_resnet_v1" or embedding != width_of(self.trunk):
            self.project = nn.Sequential(
                nn.Linear(width_of(self.trunk), embedding, bias=False),
                nn.BatchNorm1d(embedding, eps=1e-3),
            )

    def forward(self, crops: Tensor) -> Tensor:
        features = self.trunk(crops)
        return (
            features
            if self.project is None
            else functional.normalize(self.project(features), dim=1, eps=1e-6)
        )


class DeviationEncoder(nn.Module):
    """e = sigmoid(f_face(x)) - sigmoid(f_identity(x)), [N, embedding].

    The identity network is frozen and stays in evaluation mode, so that its statistics do not
    drift. Without `subtract_identity`, e = sigmoid(f_face(x)) - 1/2, which has the same range.
    """

    def __init__(self, trunk: str, embedding: int, subtract_identity: bool = True) -> None:
        super().__init__()
        self.face = FaceEmbedding(trunk, embedding)
        self.identity = (
            FaceEmbedding(trunk, embedding).eval().requires_grad_(False)
            if subtract_identity
            else None
        )

    def train(self, mode: bool = True) -> DeviationEncoder:
        super().train(mode)
        if self.identity is not None:
            self.identity.eval()
        return self

    def forward(self, crops: Tensor) -> Tensor:
        face = torch.sigmoid(self.face(crops))
        return face - (0.5 if self.identity is None else torch.sigmoid(self.identity(crops)))


class DeviationStudent(nn.Module):
    """Single network that is distilled from the pair: [N, embedding]."""

    def __init__(self, trunk: str, embedding: int) -> None:
        super().__init__()
        self.face = FaceEmbedding(trunk, embedding)

    def forward(self, crops: Tensor) -> Tensor:
        return torch.sigmoid(self.face(crops)) - 0.5


class ExpressionCode(nn.Module):
    """Encoder with a code [N, 16] of unit length of its deviation, for learning from triplets
    `crops` [N, 3, 3, S, S] (anchor, positive, negative).
    """

    def __init__(self, encoder: DeviationEncoder, embedding: int, width: int = 16) -> None:
        super().__init__()
        self.encoder = encoder
        self.code = nn.Linear(embedding, width, bias=False)

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        crops = batch["crops"]
        codes = functional.normalize(self.code(self.encoder(crops.flatten(0, 1))), dim=1, eps=1e-6)
        anchor, positive, negative = torch.unflatten(codes, 0, (-1, 3)).unbind(dim=1)
        return anchor, positive, negative

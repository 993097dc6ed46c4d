"""Heads in the order AU -> expression -> valence and arousal: each task feeds the next (M1)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES

ORDERS: Final = ("au_expression_va", "parallel")
_AU_WIDTH: Final = 16


class StreamingHeads(nn.Module):
    """[N, embedding] -> AU pairs [N, 12, 2] (inactive, active), expression logits [N, C], valence
    and arousal [N, 2].

    `parallel` is the ablation: the same layers and widths, but a separate branch replaces the
    features of the previous task.
    """

    def __init__(
        self,
        embedding: int = 512,
        width: int = 64,
        order: str = ORDERS[0],
        expressions: int = len(EXPRESSION_NAMES),
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"order of heads must be one of {ORDERS}, got {order!r}")
        count = len(AU_NAMES)
        self.parallel = order == "parallel"
        self.norm = nn.BatchNorm1d(embedding)
        # The twelve linear layers of the paper are merged into one, the twelve outputs into a
        # block-diagonal product.
        self.au_features = nn.Linear(embedding, count * _AU_WIDTH)
        self.au_pairs = nn.Parameter(torch.randn(count, _AU_WIDTH, 2) * _AU_WIDTH**-0.5)
        self.au_to_expression = nn.Linear(embedding if self.parallel else count * _AU_WIDTH, width)
        self.expression_branch = nn.Sequential(
            nn.BatchNorm1d(embedding), nn.Linear(embedding, width), nn.ReLU()
        )
        self.expression = nn.Sequential(
            nn.BatchNorm1d(2 * width), nn.Linear(2 * width, expressions)
        )
        self.expression_to_va = nn.Linear(embedding if self.parallel else 2 * width, width)
        self.va_branch = nn.Sequential(
            nn.BatchNorm1d(embedding), nn.Linear(embedding, width), nn.ReLU()
        )
        self.va = nn.Sequential(nn.BatchNorm1d(2 * width), nn.Linear(2 * width, 2))

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        embedding = self.norm(embedding)
        nodes = self.au_features(embedding).unflatten(1, (len(AU_NAMES), _AU_WIDTH))
        pairs = torch.matmul(nodes.unsqueeze(2), self.au_pairs).squeeze(2)
        before = self.au_to_expression(embedding if self.parallel else nodes.flatten(1))
        features = torch.cat([before, self.expression_branch(embedding)], dim=1)
        before = self.expression_to_va(embedding if self.parallel else features)
        return (
            pairs,
            self.expression(features),
            self.va(torch.cat([before, self.va_branch(embedding)], dim=1)),
        )

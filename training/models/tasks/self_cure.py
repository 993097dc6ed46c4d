"""Heads of M5: linear outputs, and a confidence that scales the expression logits (self-cure)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES


class SelfCureHeads(nn.Module):
    """[N, inputs] -> AU logits [N, 12], expression logits [N, 8], valence and arousal [N, 2], alpha
    [N].

    The eighth expression is "none of them" in training and is dropped at inference.
    Expression logits are multiplied by alpha = sigmoid(FC(x)): a low weight flattens the
    distribution. Without `cure` alpha is one.
    """

    def __init__(self, inputs: int, cure: bool = True) -> None:
        super().__init__()
        self.au = nn.Linear(inputs, len(AU_NAMES))
        self.expression = nn.Linear(inputs, len(EXPRESSION_NAMES) + 1)
        self.va = nn.Linear(inputs, 2)
        self.alpha = nn.Linear(inputs, 1) if cure else None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        expression = self.expression(features)
        alpha = (
            torch.ones_like(expression[..., 0])
            if self.alpha is None
            else torch.sigmoid(self.alpha(features))[..., 0]
        )
        return (
            self.au(features),
            expression * alpha[..., None],
            torch.tanh(self.va(features)),
            alpha,
        )

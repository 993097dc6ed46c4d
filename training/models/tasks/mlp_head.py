"""Head with one hidden layer (M3)."""

from __future__ import annotations

from torch import Tensor, nn


class MlpHead(nn.Module):
    """[N, inputs] -> FC, ReLU, dropout, FC -> [N, outputs]."""

    def __init__(self, inputs: int, outputs: int, hidden: int = 512, dropout: float = 0.5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.layers(features)
        return output

"""A recurrent read-out over a frame's features, with carried state (M8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GruHead(nn.Module):
    """Features [N, T, inputs] -> GRU, ReLU, FC -> [N, T, outputs].

    `both_ways` sees later frames too, as published; only the forward one can run frame by frame.
    """

    def __init__(self, inputs: int, width: int, outputs: int, both_ways: bool) -> None:
        super().__init__()
        self.width, self.both_ways = width, both_ways
        self.gru = nn.GRU(inputs, width, batch_first=True, bidirectional=both_ways)
        self.read = nn.Linear(width * (2 if both_ways else 1), outputs)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.read(torch.relu(self.gru(features)[0]))
        return output

    def step(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One frame [N, inputs] with state [N, width] (zeros at first) -> [N, outputs] and the
        state after it.
        """
        if self.both_ways:
            raise ValueError(
                "a GRU that looks both ways cannot run frame by frame; build it forward only"
            )
        out, state = self.gru(features.unsqueeze(1), state.unsqueeze(0))
        return self.read(torch.relu(out.squeeze(1))), state.squeeze(0)

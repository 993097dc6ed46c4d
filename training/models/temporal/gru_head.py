"""Recurrent head over frame features, with carried state (M8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GruHead(nn.Module):
    """Features [N, T, inputs] -> GRU, ReLU, FC -> [N, T, outputs].

    `bidirectional` also uses later frames, as published; only a forward GRU runs frame by frame.
    """

    def __init__(self, inputs: int, width: int, outputs: int, bidirectional: bool) -> None:
        super().__init__()
        self.width, self.bidirectional = width, bidirectional
        self.gru = nn.GRU(inputs, width, batch_first=True, bidirectional=bidirectional)
        self.read = nn.Linear(width * (2 if bidirectional else 1), outputs)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.read(torch.relu(self.gru(features)[0]))
        return output

    def step(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Process a frame [N, inputs] with state [N, width] (zeros first).

        Returns:
            [N, outputs] and the new state.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional GRU cannot run frame by frame; build it forward only")
        out, state = self.gru(features.unsqueeze(1), state.unsqueeze(0))
        return self.read(torch.relu(out.squeeze(1))), state.squeeze(0)

"""Several linear layers of one shape as one matrix product."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GroupedLinear(nn.Module):
    """[N, groups, inputs] -> [N, groups, outputs], with separate weights for each group."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound))

    def forward(self, features: Tensor) -> Tensor:
        return (torch.matmul(features.transpose(0, 1), self.weight) + self.bias).transpose(0, 1)

"""Nodes of the AU graph from the local features of each AU (M4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.au_graph import AuGraph
from training.models.tasks.grouped_linear import GroupedLinear


class GraphRelation(nn.Module):
    """Local features [N, 12, inputs] -> nodes [N, 12, width]; `graph` turns nodes into AU logits
    [N, 12].

    The graph is the layer that the SDK has kernels for; its edges are from expression prototypes.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.node = GroupedLinear(12, inputs, width)
        self.graph = AuGraph(width)

    def forward(self, local: Tensor) -> Tensor:
        return torch.relu(self.node(local))

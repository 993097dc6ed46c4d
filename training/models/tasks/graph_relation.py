"""Nodes of the AU graph from the local features of each AU (M4)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from training.models.au_graph import AuGraph
from training.models.tasks.grouped_linear import GroupedLinear

EDGE_THRESHOLD: Final = 0.4
"""Smallest P(i | j) of an edge; not published, from the range in which rows keep few neighbors."""


def adjacency_from_labels(active: Tensor, known: Tensor) -> Tensor:
    """Normalized graph [12, 12] of AUs that occur together in labels [n, 12] where known.

    M_ij = 1 if P(y_j = 1 | y_i = 1) = n_ij / n_i reaches the threshold; then, row by row, D^-1 (M +
    I), since M is not symmetric.
    """
    labeled = (active * known).double()
    together = labeled.T @ labeled
    count = labeled.T @ known.double()  # actives of i among rows in which j is known
    linked = (together / count.clamp(min=1) >= EDGE_THRESHOLD).double()
    linked.fill_diagonal_(1.0)
    return (linked / linked.sum(dim=1, keepdim=True)).float()


class GraphRelation(nn.Module):
    """Local features [N, 12, inputs] -> nodes [N, 12, width]; `graph` turns nodes into AU logits
    [N, 12].

    The graph is the layer that the SDK has kernels for; its edges are from expression prototypes
    until `fit_adjacency`.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.node = GroupedLinear(12, inputs, width)
        self.graph = AuGraph(width)

    def fit_adjacency(self, active: Tensor, known: Tensor) -> None:
        """Take the edges from training labels and their masks [n, 12]."""
        self.graph.adjacency.copy_(adjacency_from_labels(active, known))

    def forward(self, local: Tensor) -> Tensor:
        return torch.relu(self.node(local))

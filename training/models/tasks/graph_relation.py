"""Graph over AUs with an adjacency from label co-occurrence (M4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models.au_graph import AuGraph
from training.models.tasks.grouped_linear import GroupedLinear


def adjacency_from_labels(active: Tensor, known: Tensor, threshold: float = 0.4) -> Tensor:
    """Compute D^-1/2 (M + I) D^-1/2 [12, 12] of 0/1 labels [n, 12] where `known` [n, 12] is 1.

    M_ij = 1 where P(i | j) or P(j | i), over frames that know both, reaches `threshold`. The
    conditional probabilities differ by direction; either one links, so that the graph has one
    normalization.
    """
    active, known = (active * known).double(), known.double()
    both = active.T @ active
    active_count = active.T @ known  # times i was active where j was known
    conditional = both / active_count.clamp(min=1)  # P(j | i)
    linked = (torch.maximum(conditional, conditional.T) >= threshold).double()
    linked.fill_diagonal_(1)
    root = linked.sum(dim=1).rsqrt()
    return (linked * root[:, None] * root[None, :]).float()


class GraphRelation(nn.Module):
    """Local features [N, 12, inputs] -> nodes [N, 12, width]; `graph` turns nodes into AU logits
    [N, 12].

    The graph is the layer that the SDK has kernels for; it starts from expression
    prototypes and takes its adjacency from the training labels by `fit_adjacency`.
    """

    def __init__(self, inputs: int, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.node = GroupedLinear(12, inputs, width)
        self.graph = AuGraph(width, layers)

    def fit_adjacency(self, active: Tensor, known: Tensor, threshold: float = 0.4) -> None:
        """Set the adjacency from training labels."""
        self.graph.adjacency.copy_(adjacency_from_labels(active, known, threshold))

    def forward(self, local: Tensor) -> Tensor:
        return torch.relu(self.node(local))

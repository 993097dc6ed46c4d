"""AU graph: propagation compared with a loop over neighbors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.models.au_graph import AuGraph
from training.models.tasks.graph_relation import GraphRelation

pytestmark = pytest.mark.train


def loop_graph(graph: AuGraph, nodes: Tensor) -> Tensor:
    """Graph layer as a loop over neighbors."""
    for weight, bias in zip(graph.weights, graph.biases, strict=True):
        after = []
        for i in range(nodes.shape[1]):
            total = torch.zeros_like(nodes[:, 0])
            for j in range(nodes.shape[1]):
                total = total + graph.adjacency[i, j] * nodes[:, j]
            after.append(torch.relu(total @ weight + bias))
        nodes = torch.stack(after, dim=1)
    return (
        torch.stack(
            [(nodes[:, i] * graph.readout_weight[i]).sum(1) for i in range(nodes.shape[1])], 1
        )
        + graph.readout_bias
    )


def test_graph_matches_loop_over_neighbors() -> None:
    torch.manual_seed(0)
    relation = GraphRelation(20, 16)
    nodes = relation(torch.randn(3, 12, 20)).double()
    graph = relation.graph.double()
    with torch.no_grad():
        assert float((graph(nodes) - loop_graph(graph, nodes)).abs().max()) < 1e-12


def test_graph_without_edges_keeps_nodes_independent() -> None:
    relation = GraphRelation(8, 8)
    nodes = torch.rand(1, 12, 8, requires_grad=True)
    for adjacency, informed in ((torch.eye(12), False), (torch.full((12, 12), 1 / 12), True)):
        relation.graph.adjacency.copy_(adjacency)
        gradient = torch.autograd.grad(relation.graph(nodes)[0, 0], nodes)[0]
        assert bool(gradient[0, 1:].abs().max() > 0) is informed

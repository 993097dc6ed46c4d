"""AU graph: propagation compared with a loop over neighbors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.models.au_graph import AuGraph
from training.models.tasks.graph_relation import GraphRelation, adjacency_from_labels

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


def test_adjacency_from_labels_links_aus_by_conditional_probability() -> None:
    active, known = torch.zeros(10, 12), torch.ones(10, 12)
    active[:5, 0] = 1  # AU 0 is active five times,
    active[:2, 1] = 1  # AU 1 in two of them: P(1 | 0) = 0.4, P(0 | 1) = 1,
    active[4:, 2] = 1  # AU 2 in one: P(2 | 0) = 0.2, P(0 | 2) = 1 / 6,
    active[:, 3] = 1  # AU 3 always, but known in five rows.
    known[5:, 3] = 0
    linked = torch.eye(12)
    linked[0, 1] = linked[1, 0] = 1
    linked[0, 3] = linked[1, 3] = linked[3, 0] = linked[3, 1] = 1
    # P(0 | 3) = 5 / 5, P(1 | 3) = 2 / 5, P(2 | 3) = 1 / 5; P(3 | 2) = 1 / 1 where AU 3 is known.
    linked[2, 3] = 1
    expected = linked / linked.sum(dim=1, keepdim=True)
    assert torch.allclose(adjacency_from_labels(active, known), expected)
    relation = GraphRelation(4, 4)
    relation.fit_adjacency(active, known)
    assert torch.allclose(relation.graph.adjacency, expected)

"""AU graph: adjacency compared with counting, propagation with a loop over neighbors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from training.models.au_graph import AuGraph
from training.models.tasks.graph_relation import GraphRelation, adjacency_from_labels

pytestmark = pytest.mark.train


def test_adjacency_matches_conditional_probabilities() -> None:
    rng = np.random.default_rng(0)
    active = (rng.random((400, 12)) < 0.3).astype(float)
    active[:, 1] = np.where(rng.random(400) < 0.8, active[:, 0], active[:, 1])  # correlated
    known = (rng.random((400, 12)) < 0.9).astype(float)
    linked = np.eye(12)
    for i in range(12):
        for j in range(12):
            both = (known[:, i] > 0) & (known[:, j] > 0)
            for condition in (i, j):
                if (
                    active[both, condition].sum()
                    and (active[both, i] * active[both, j]).sum() / active[both, condition].sum()
                    >= 0.4
                ):
                    linked[i, j] = 1
    root = linked.sum(axis=1) ** -0.5
    assert linked[0, 1] == 1
    assert linked.sum() < 60
    adjacency = adjacency_from_labels(torch.from_numpy(active), torch.from_numpy(known))
    assert np.allclose(adjacency.numpy(), linked * root[:, None] * root[None, :], atol=1e-6)


def test_adjacency_of_absent_au_is_identity_row() -> None:
    active = torch.zeros(20, 12)
    active[:, 0] = 1
    adjacency = adjacency_from_labels(active, torch.ones(20, 12))
    assert torch.equal(adjacency[5], torch.eye(12)[5])


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

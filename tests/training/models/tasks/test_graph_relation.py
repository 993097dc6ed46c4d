"""The graph of AUs: its adjacency against counting, its propagation against neighbor by neighbor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.models.tasks.graph_relation import GraphRelation, adjacency_supervised, graph_plain

pytestmark = pytest.mark.train


def test_adjacency_counts_conditional_probabilities() -> None:
    rng = np.random.default_rng(0)
    active = (rng.random((400, 12)) < 0.3).astype(float)
    active[:, 1] = np.where(
        rng.random(400) < 0.8, active[:, 0], active[:, 1]
    )  # these two go together
    known = (rng.random((400, 12)) < 0.9).astype(float)
    linked = np.eye(12)
    for i in range(12):
        for j in range(12):
            both = (known[:, i] > 0) & (known[:, j] > 0)
            for given in (i, j):
                if (
                    active[both, given].sum()
                    and (active[both, i] * active[both, j]).sum() / active[both, given].sum() >= 0.4
                ):
                    linked[i, j] = 1
    root = linked.sum(axis=1) ** -0.5
    assert linked[0, 1] == 1
    assert linked.sum() < 60
    found = adjacency_supervised(torch.from_numpy(active), torch.from_numpy(known))
    assert np.allclose(found.numpy(), linked * root[:, None] * root[None, :], atol=1e-6)


def test_an_au_never_seen_is_linked_to_itself_alone() -> None:
    active = torch.zeros(20, 12)
    active[:, 0] = 1
    found = adjacency_supervised(active, torch.ones(20, 12))
    assert torch.equal(found[5], torch.eye(12)[5])


def test_propagation_neighbor_by_neighbor() -> None:
    torch.manual_seed(0)
    relation = GraphRelation(20, 16)
    nodes = relation(torch.randn(3, 12, 20)).double()
    graph = relation.graph.double()
    with torch.no_grad():
        assert float((graph(nodes) - graph_plain(graph, nodes)).abs().max()) < 1e-12


def test_without_links_nodes_do_not_inform_each_other() -> None:
    relation = GraphRelation(8, 8)
    nodes = torch.rand(1, 12, 8, requires_grad=True)
    for adjacency, informed in ((torch.eye(12), False), (torch.full((12, 12), 1 / 12), True)):
        relation.graph.adjacency.copy_(adjacency)
        gradient = torch.autograd.grad(relation.graph(nodes)[0, 0], nodes)[0]
        assert bool(gradient[0, 1:].abs().max() > 0) is informed

"""AU graph layer compared with the SDK kernel, and its adjacency."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from faceaffect.kernels import GcnWeights, reference
from training.models.au_graph import AuGraph, adjacency_from_prototypes

pytestmark = pytest.mark.train


def test_au_graph_matches_kernel():
    torch.manual_seed(0)
    layer = AuGraph(24, layers=2)
    for bias in layer.biases:
        torch.nn.init.normal_(bias)
    nodes = torch.randn(5, 12, 24)
    weights = GcnWeights.from_bytes(save(layer.tensors()))
    with torch.no_grad():
        expected = layer(nodes).numpy()
    assert np.abs(reference.au_gcn(nodes.numpy(), weights) - expected).max() < 1e-5


def test_adjacency_from_prototypes_is_symmetric_and_normalized():
    adjacency = adjacency_from_prototypes()
    assert np.allclose(adjacency, adjacency.T)
    linked = adjacency > 0
    assert linked.diagonal().all()
    degree = linked.sum(axis=1)
    assert np.allclose(adjacency, linked / np.sqrt(np.outer(degree, degree)), atol=1e-6)
    assert degree.max() < 12
    assert np.abs(np.linalg.eigvalsh(adjacency)).max() <= 1 + 1e-5

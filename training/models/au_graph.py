"""Graph convolution over AU nodes (M4, after Kipf & Welling 2017) in PyTorch.

Defined by the reference kernel in `faceaffect.kernels.reference`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES

PROTOTYPES: Final[tuple[dict[str, float], ...]] = (
    {"AU12": 1.0, "AU25": 1.0, "AU6": 0.51},  # happiness
    {"AU4": 1.0, "AU15": 1.0, "AU1": 0.60, "AU6": 0.50},  # sadness
    {"AU1": 1.0, "AU4": 1.0, "AU25": 1.0, "AU2": 0.57, "AU26": 0.33},  # fear
    {"AU4": 1.0, "AU7": 1.0, "AU24": 1.0, "AU10": 0.26, "AU23": 0.29},  # anger
    {"AU1": 1.0, "AU2": 1.0, "AU25": 1.0, "AU26": 1.0},  # surprise
    {"AU10": 1.0, "AU4": 0.31, "AU24": 0.26},  # disgust
)
"""Frequency of each AU in each basic expression, from Du, Tao & Martinez 2014 (PNAS).

Used instead of label counts, since no real faces with AU labels are available.
"""


def adjacency_from_prototypes(threshold: float = 0.3) -> NDArray[np.float32]:
    """D^-1/2 (A + I) D^-1/2 [12, 12], A_ij = 1 if P(i | j) or P(j | i) reaches `threshold`."""
    shown = np.array([[row.get(name, 0.0) for name in AU_NAMES] for row in PROTOTYPES])
    together = shown.T @ shown
    np.fill_diagonal(together, shown.sum(axis=0))
    conditional = together / shown.sum(axis=0)[:, None]
    linked = (np.maximum(conditional, conditional.T) >= threshold).astype(np.float64)
    np.fill_diagonal(linked, 1.0)
    root = 1 / np.sqrt(linked.sum(axis=1))
    return np.asarray(linked * root[:, None] * root[None, :], np.float32)


class AuGraph(nn.Module):
    """H_{l+1} = relu(A H_l W_l + b_l); logit_k = H_L[k] . R[k] + c[k]."""

    adjacency: Tensor

    def __init__(self, width: int, layers: int = 2) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.from_numpy(adjacency_from_prototypes()))
        # Starts near the identity so that the nodes' own evidence passes from the first step on.
        self.weights = nn.ParameterList(
            [
                nn.Parameter(torch.eye(width) + 0.02 * torch.randn(width, width))
                for _ in range(layers)
            ]
        )
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(width)) for _ in range(layers)])
        self.readout_weight = nn.Parameter(torch.randn(len(AU_NAMES), width) * width**-0.5)
        self.readout_bias = nn.Parameter(torch.full((len(AU_NAMES),), -1.0))

    def forward(self, nodes: Tensor) -> Tensor:  # [N, 12, D] -> [N, 12]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            nodes = torch.relu(self.adjacency @ nodes @ weight + bias)
        return (nodes * self.readout_weight).sum(dim=-1) + self.readout_bias

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Tensors of `graph.safetensors`."""
        named = {
            "adjacency": self.adjacency,
            "readout.weight": self.readout_weight,
            "readout.bias": self.readout_bias,
        }
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            named |= {f"layer.{i}.weight": weight, f"layer.{i}.bias": bias}
        return {
            name: np.ascontiguousarray(value.detach().cpu().numpy())
            for name, value in named.items()
        }

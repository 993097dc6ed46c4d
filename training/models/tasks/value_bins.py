"""Valence and arousal as distributions over bins of [-1, 1] (M8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ValueBins(nn.Module):
    """Logits [..., 2 bins] -> logits [..., 2, bins] and their expectation [..., 2].

    Values are the bins' centers, so that the expectation agrees with the edges `linspace(-1, 1,
    bins + 1)` that labels are binned by; the public code has `linspace(-1, 1, bins)`, which
    differs by up to half a bin.
    """

    centers: Tensor

    def __init__(self, bins: int = 20) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("centers", (torch.arange(bins) + 0.5) * (2 / bins) - 1)

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        logits = torch.unflatten(logits, -1, (2, self.bins))
        return logits, torch.matmul(logits.softmax(dim=-1), self.centers)


def bin_of(values: Tensor, bins: int = 20) -> Tensor:
    """Index of the bin of each value; values outside [-1, 1] are in the outermost bins."""
    return ((values + 1) * (bins / 2)).floor().long().clamp(0, bins - 1)

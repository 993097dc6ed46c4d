"""Counts against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.models.cost import cost_of, macs_of, on_meta, parameter_count

pytestmark = pytest.mark.train


def test_convolution() -> None:
    cost = cost_of(lambda: nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2), (2, 6, 11, 9))
    assert cost.parameters == 8 * 3 * 9 + 8
    assert cost.macs == 2 * 6 * 5 * 8 * 3 * 9  # N, output cells, outputs, inputs of a group, kernel


def test_convolution_over_time() -> None:
    cost = cost_of(
        lambda: nn.Conv3d(4, 5, (3, 1, 1), padding=(1, 0, 0), bias=False), (1, 4, 8, 7, 7)
    )
    assert cost.macs == 8 * 49 * 5 * 4 * 3


def test_linear_layer() -> None:
    cost = cost_of(lambda: nn.Linear(512, 7), (3, 512))
    assert (cost.parameters, cost.macs) == (512 * 7 + 7, 3 * 512 * 7)


def test_recurrent_layer() -> None:
    cost = cost_of(lambda: nn.GRU(128, 64, batch_first=True), (1, 10, 128))
    assert cost.parameters == 3 * 64 * (128 + 64) + 2 * 3 * 64
    assert cost.macs == 10 * 3 * 64 * (128 + 64)


class _Product(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.relu(left @ right)


def test_a_product_outside_of_layers_counts() -> None:
    assert cost_of(_Product, (5, 12, 30), (5, 30, 8)).macs == 5 * 12 * 30 * 8


def test_normalization_counts_parameters_only() -> None:
    assert cost_of(lambda: nn.BatchNorm2d(8), (1, 8, 4, 4)).macs == 0
    assert parameter_count(nn.BatchNorm2d(8)) == 16


def test_nothing_is_held_in_memory() -> None:
    net = on_meta(lambda: nn.Linear(10**6, 10**6))
    assert parameter_count(net) == 10**12 + 10**6
    assert macs_of(lambda: net(torch.zeros(1, 10**6, device="meta"))) == 10**12

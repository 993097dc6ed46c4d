"""Parameter and multiply-accumulate counts compared with closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.training.models.measure_cost import measure_cost
from training.models.cost import macs_of, on_meta, parameter_count

pytestmark = pytest.mark.train


def test_cost_of_convolution() -> None:
    parameters, macs = measure_cost(
        lambda: nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2), (2, 6, 11, 9)
    )
    assert parameters == 8 * 3 * 9 + 8
    assert macs == 2 * 6 * 5 * 8 * 3 * 9  # N, output cells, outputs, inputs of a group, kernel


def test_cost_of_temporal_convolution() -> None:
    _, macs = measure_cost(
        lambda: nn.Conv3d(4, 5, (3, 1, 1), padding=(1, 0, 0), bias=False), (1, 4, 8, 7, 7)
    )
    assert macs == 8 * 49 * 5 * 4 * 3


def test_cost_of_linear_layer() -> None:
    parameters, macs = measure_cost(lambda: nn.Linear(512, 7), (3, 512))
    assert (parameters, macs) == (512 * 7 + 7, 3 * 512 * 7)


def test_cost_of_gru() -> None:
    parameters, macs = measure_cost(lambda: nn.GRU(128, 64, batch_first=True), (1, 10, 128))
    assert parameters == 3 * 64 * (128 + 64) + 2 * 3 * 64
    assert macs == 10 * 3 * 64 * (128 + 64)


class _Product(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.relu(left @ right)


def test_macs_of_product_outside_layers_are_counted() -> None:
    assert measure_cost(_Product, (5, 12, 30), (5, 30, 8))[1] == 5 * 12 * 30 * 8


def test_macs_of_normalization_are_zero() -> None:
    assert measure_cost(lambda: nn.BatchNorm2d(8), (1, 8, 4, 4))[1] == 0
    assert parameter_count(nn.BatchNorm2d(8)) == 16


def test_on_meta_takes_no_memory() -> None:
    net = on_meta(lambda: nn.Linear(10**6, 10**6))
    assert parameter_count(net) == 10**12 + 10**6
    assert macs_of(lambda: net(torch.zeros(1, 10**6, device="meta"))) == 10**12

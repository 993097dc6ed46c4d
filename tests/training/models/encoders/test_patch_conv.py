"""Grouped patch convolutions compared with patch-by-patch references."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.models.encoders.patch_conv import PatchConv, RegionLayer

pytestmark = pytest.mark.train


SHAPES = pytest.mark.parametrize(
    ("side", "inputs", "outputs", "size"), [(8, 4, 2, 48), (4, 2, 1, 24), (2, 3, 5, 10)]
)


def convolve_each_patch(layer: PatchConv, features: Tensor) -> Tensor:
    side, norm, rows = layer.side, layer.norm, []
    weights, biases = (part.chunk(side * side) for part in (layer.conv.weight, layer.conv.bias))
    for i, row in enumerate(features.chunk(side, dim=2)):
        cells = []
        for j, patch in enumerate(row.chunk(side, dim=3)):
            k = i * side + j
            own = slice(k * layer.inputs, (k + 1) * layer.inputs)
            patch = functional.batch_norm(
                patch,
                norm.running_mean[own],
                norm.running_var[own],
                norm.weight[own],
                norm.bias[own],
                eps=norm.eps,
            )
            cells.append(functional.conv2d(torch.relu(patch), weights[k], biases[k], padding=1))
        rows.append(torch.cat(cells, dim=3))
    return torch.cat(rows, dim=2)


@SHAPES
def test_patch_conv_of_integers_equals_reference(
    side: int, inputs: int, outputs: int, size: int
) -> None:
    """Sums of small integers have no rounding, so the results are bit-identical."""
    torch.manual_seed(0)
    layer = PatchConv(inputs, outputs, side).eval()
    layer.norm.eps = 0.0
    for value in layer.state_dict().values():
        value.copy_(torch.randint(-3, 4, value.shape))
    layer.norm.running_var.fill_(1)
    features = torch.randint(-9, 10, (2, inputs, size, size)).float()
    with torch.no_grad():
        expected = convolve_each_patch(layer, features)
        assert expected.std() > 1
        assert torch.equal(layer(features), expected)


@SHAPES
def test_patch_conv_matches_reference(side: int, inputs: int, outputs: int, size: int) -> None:
    torch.manual_seed(0)
    layer = PatchConv(inputs, outputs, side).eval()
    layer.norm.running_mean.normal_(0, 0.3)
    layer.norm.running_var.uniform_(0.5, 2)
    features = torch.randn(2, inputs, size, size)
    with torch.no_grad():
        assert float((layer(features) - convolve_each_patch(layer, features)).abs().max()) < 1e-6


def test_patch_conv_keeps_patches_independent() -> None:
    layer = PatchConv(2, 2, 4).eval()
    features = torch.randn(1, 2, 16, 16)
    other = features.clone()
    other[:, :, :4, :4] += 1
    with torch.no_grad():
        changed = (layer(features) != layer(other)).any(dim=1)[0]
    assert changed[:4, :4].any()
    assert not changed[4:].any()
    assert not changed[:, 4:].any()


def test_region_layer_preserves_shape() -> None:
    assert RegionLayer(3, 8)(torch.randn(2, 3, 32, 32)).shape == (2, 8, 32, 32)

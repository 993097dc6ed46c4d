"""Feature pyramid compared with a slow reference, and its names with torchvision's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.models.cost import on_meta
from training.models.encoders.feature_pyramid import FeaturePyramid, PyramidRead

pytestmark = pytest.mark.train


def test_feature_pyramid_names_match_torchvision() -> None:
    names = on_meta(FeaturePyramid).state_dict().keys()
    expected = {
        "body.conv1.weight",
        "body.layer4.2.bn3.weight",
        "fpn.inner_blocks.0.0.weight",
        "fpn.layer_blocks.3.0.bias",
    }
    assert not expected - names
    assert {name.split(".")[0] for name in names} == {"body", "fpn"}


def test_feature_pyramid_matches_reference_sums() -> None:
    net = FeaturePyramid("small_resnet", 8).eval()
    crops = torch.randn(
        1, 3, 72, 72
    )  # maps of 18, 9, 5 and 3 cells: upsampling is not always by two
    with torch.no_grad():
        maps, levels = net.body.maps(crops), net(crops)
        above = None
        for i in reversed(range(4)):
            lateral = functional.conv2d(
                maps[i], net.fpn.inner_blocks[i][0].weight, net.fpn.inner_blocks[i][0].bias
            )
            if above is not None:
                side, old = lateral.shape[2], above.shape[2]
                source = torch.tensor([int(j * old / side) for j in range(side)])
                lateral = lateral + above[:, :, source][:, :, :, source]
            above = lateral
            assert torch.allclose(levels[i], net.fpn.layer_blocks[i](lateral), atol=1e-5)
        assert torch.equal(levels[4], levels[3][:, :, ::2, ::2])


def test_pyramid_read_matches_reference() -> None:
    levels = [torch.randn(2, 8, side, side) for side in (16, 8, 4, 2, 1)]
    per_level, last = PyramidRead(8, 3, "per_level"), PyramidRead(8, 3, "last")
    with torch.no_grad():
        expected = (
            sum(
                linear(level.mean(dim=(2, 3)))
                for linear, level in zip(per_level.linear, levels, strict=True)
            )
            / 5
        )
        assert torch.allclose(per_level(levels), expected, atol=1e-6)
        assert torch.allclose(last(levels), last.linear[0](levels[3].mean(dim=(2, 3))))
        assert torch.equal(last(levels[3:]), last(levels))
    assert PyramidRead(8, 3)(levels).shape == (2, 3)
    with pytest.raises(ValueError, match="concat"):
        PyramidRead(8, 3, "all")


def test_freeze_low_levels_stops_their_training() -> None:
    net = FeaturePyramid("small_resnet", 8)
    net.freeze_low_levels()
    net.train()
    before = net.body.bn1.running_mean.clone()
    sum(level.sum() for level in net(torch.randn(2, 3, 64, 64))).backward()
    assert torch.equal(net.body.bn1.running_mean, before)
    assert net.body.conv1.weight.grad is None
    assert net.body.layer1[0].conv1.weight.grad is None
    assert net.body.layer2[0].conv1.weight.grad is not None

"""bfloat16 training affects only the trunk: heads and evaluation stay float32."""

import pytest
import torch

from training.default_model.default_recipe import recipe
from training.models.affect_net import AffectNet

pytestmark = pytest.mark.train


def test_affect_net_in_bfloat16_rounds_trunk_only():
    torch.manual_seed(0)
    net = AffectNet(recipe().net).train()
    crops = torch.randn(4, 3, 48, 48)
    dtypes = []
    net.trunk.register_forward_hook(lambda _, __, outputs: dtypes.append(outputs[1].dtype))
    torch.manual_seed(1)
    plain = net(crops)
    net.uses_bfloat16 = True
    torch.manual_seed(1)
    rounded = net(crops)
    assert dtypes == [torch.float32, torch.bfloat16]
    for name, value in rounded.items():
        assert value.dtype == torch.float32
        difference = (value - plain[name]).abs().max()
        assert 0 < difference < 0.1 * plain[name].abs().max() + 0.05, name
    sum(value.sum() for value in rounded.values()).backward()
    assert all(
        torch.isfinite(parameter.grad).all()
        for parameter in net.parameters()
        if parameter.grad is not None
    )
    net.eval()
    exact = net(crops)
    assert dtypes[-1] == torch.float32
    net.uses_bfloat16 = False
    for name, value in net(crops).items():
        torch.testing.assert_close(value, exact[name], rtol=0, atol=0)

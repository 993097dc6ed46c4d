"""Exponential moving average of network weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.engine.ema import EmaModel

pytestmark = pytest.mark.train


def synthetic_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


@pytest.mark.parametrize(
    ("warmup", "limit"),
    [("mean", lambda n: 1 - 1 / (n + 1)), ("slow", lambda n: (1 + n) / (10 + n))],
)
def test_update_averages_weights_and_statistics(warmup: str, limit) -> None:  # type: ignore[no-untyped-def]
    net = synthetic_net()
    ema = EmaModel(net, decay=0.6, warmup=warmup)
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    for updates in range(1, 6):
        with torch.no_grad():
            net.train()(torch.randn(8, 3))
            net[0].weight.add_(1.0)
        ema.update(net)
        decay = min(limit(updates), 0.6)
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
            else:
                expected[name] = value.clone()
    for name, value in ema.net.state_dict().items():
        assert torch.allclose(value, expected[name]), name
    assert not ema.net.training
    assert not any(parameter.requires_grad for parameter in ema.net.parameters())


def test_update_with_decay_of_one_changes_nothing() -> None:
    net = synthetic_net()
    ema = EmaModel(net, decay=1.0)
    before = ema.net[0].weight.clone()
    net[0].weight.data.add_(1)
    ema.update(net)
    assert torch.equal(ema.net[0].weight, before)


def test_load_state_dict_restores_number_of_updates() -> None:
    net = synthetic_net()
    first, second = EmaModel(net), EmaModel(net)
    for _ in range(3):
        net[0].weight.data.add_(1)
        first.update(net)
    second.load_state_dict(first.state_dict())
    for ema in (first, second):
        ema.update(net)
    assert second.updates == 4
    assert torch.equal(first.net[0].weight, second.net[0].weight)


def test_ema_with_decay_above_one_raises() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        EmaModel(synthetic_net(), 1.5)

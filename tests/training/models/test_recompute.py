"""Recomputed activations give the same outputs, gradients and statistics, and keep less."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tests.training.methods.network_cases import SMALL
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.networks.build_network import build_network
from training.models.recompute import recompute_blocks

pytestmark = pytest.mark.train


def trained_once(net: nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
    """The loss of a step with dropout, and the bytes kept for its backward pass."""
    kept: dict[int, int] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        kept[value.data_ptr()] = value.numel() * value.element_size()
        return value

    torch.manual_seed(3)
    net.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        outputs = net(inputs)
        loss = torch.stack([(value.float() ** 2).mean() for value in outputs.values()]).sum()
        size = sum(kept.values())
        loss.backward()
    return loss.detach(), size


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "pairwise_intensity"])
def test_recomputed_network_trains_as_the_plain_one(name: str) -> None:
    torch.manual_seed(0)
    plain = build_network(find_recipe(name, "compact", SMALL[name]).net)
    again = copy.deepcopy(plain)
    assert recompute_blocks(again) > 0
    copied = copy.deepcopy(again)
    inputs = {key: torch.randn_like(value) for key, value in plain.zeros(4).items()}
    if "mel_index" in inputs:
        inputs["mel_index"] = torch.zeros_like(inputs["mel_index"])
    loss, size = trained_once(plain, inputs)
    same, smaller = trained_once(again, inputs)
    assert same == pytest.approx(float(loss), rel=1e-6)
    assert smaller < 0.9 * size
    for (key, value), (_, other) in zip(
        plain.named_parameters(), again.named_parameters(), strict=True
    ):
        assert (value.grad is None) == (other.grad is None), key
        if value.grad is not None:
            assert torch.allclose(value.grad, other.grad, atol=1e-6), key
    for key, value in plain.state_dict().items():
        assert torch.allclose(value, again.state_dict()[key]), f"running statistics of {key}"
    started = {key: value.clone() for key, value in copied.state_dict().items()}
    again.eval()(inputs)
    assert all(torch.equal(value, started[key]) for key, value in copied.state_dict().items())


def test_recomputed_copy_runs_its_own_blocks() -> None:
    net = InceptionResnetV1().eval()
    assert recompute_blocks(net) > 10
    other = copy.deepcopy(net)
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
    image = torch.randn(1, 3, 80, 80)
    assert net(image).abs().sum() == 0
    assert other(image).abs().sum() > 0

"""Counted memory and operations equal those of a network that runs."""

from __future__ import annotations

import pytest
import torch

from tests.training.methods.network_cases import SMALL
from training.methods.recipe_lookup import find_recipe
from training.methods.training_costs import kept_bytes, step_cost, step_costs
from training.models.cost import macs_of, on_meta
from training.models.networks.build_network import build_network
from training.models.recompute import recompute_blocks

pytestmark = pytest.mark.train


def test_step_cost_counts_what_a_running_network_keeps() -> None:
    recipe = find_recipe("M3", "compact", SMALL["incomplete_labels"])
    counted, flops = step_cost(on_meta(lambda: build_network(recipe.net)).train(), "frames", 6)
    net = build_network(recipe.net).train()
    kept, _ = kept_bytes(net, {"crops": torch.randn(6, 3, 48, 48)})
    assert counted == pytest.approx(kept, rel=0.01)
    forward = 2 * macs_of(lambda: net({"crops": torch.randn(6, 3, 48, 48)}))
    assert 2.5 * forward < flops < 3 * forward, "backward costs twice the forward pass"


def test_frozen_blocks_are_not_recomputed() -> None:
    net = build_network(find_recipe("M3", "compact", SMALL["incomplete_labels"]).net).train()
    net.requires_grad_(False)
    recompute_blocks(net)
    assert kept_bytes(net, {"crops": torch.randn(4, 3, 48, 48)})[0] == 0


def test_step_costs_have_the_published_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.methods.training_costs.step_cost", lambda *_: (2**30, 10**12))
    costs = {(cost.paper, cost.stage): cost for cost in step_costs()}
    samples = {name: cost.samples for name, cost in costs.items()}
    assert samples[("M2", "frames")] == 64
    assert samples[("M2", "windows")] == 8
    assert samples[("M7", "pairs")] == 64
    assert len(costs) == 9
    adam = costs[("M3", "frames")]
    assert adam.state_bytes == pytest.approx(16 * 25.6e6, rel=0.01), "four floats a parameter"
    assert adam.gigabytes(False) == pytest.approx(1 + adam.state_bytes / 2**30)

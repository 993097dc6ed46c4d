"""Memory and operations of a training step of the published recipes, counted on meta tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from training.methods.multi_stage.pseudo_label_pass import first_stage_recipe
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.cost import on_meta
from training.models.networks.build_network import build_network
from training.models.networks.multimodal_transformer import MultimodalTransformer
from training.models.networks.pairwise_intensity import PairwiseIntensity
from training.models.recompute import recompute_blocks

_STATES: Final = {"adam": 4, "sgd": 3}  # weights, gradients and what the optimizer keeps of them
_FLOAT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class StepCost:
    """A stage of a method: samples of a step, bytes in float32, operations of one sample.

    `activation_bytes` are those that forward keeps for backward, without and with recomputed
    blocks. An operation is a multiplication or an addition, of forward and backward pass.
    """

    paper: str
    stage: str
    samples: int
    state_bytes: int
    activation_bytes: tuple[int, int]
    flops: int

    def gigabytes(self, recompute: bool) -> float:
        return (self.state_bytes + self.activation_bytes[recompute]) / 2**30


def step_costs() -> list[StepCost]:
    """The heaviest stages of all published recipes."""
    costs = []
    for name in RECIPES:
        recipe = find_recipe(name)
        if recipe.paper == "M2":
            frames = first_stage_recipe(recipe)
            costs.append(_stage("M2", "frames", recipe, frames.batch))
            costs.append(_stage("M2", "windows", recipe, recipe.batch))
        elif recipe.paper == "M7":
            costs.append(_stage("M7", "pairs", recipe, 2 * recipe.batch))
        else:
            stage = "clips" if recipe.paper == "M5" else "frames"
            costs.append(_stage(recipe.paper, stage, recipe, recipe.batch))
    return costs


def _stage(paper: str, stage: str, recipe: Any, samples: int) -> StepCost:
    net = _network(recipe, stage)
    plain, flops = step_cost(net, stage, samples)
    recompute_blocks(net)
    less, _ = step_cost(net, stage, samples)
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    state = _FLOAT_BYTES * (_STATES[recipe.optimizer.kind] * trained + frozen)
    return StepCost(paper, stage, samples, state, (plain, less), flops // samples)


def _network(recipe: Any, stage: str) -> nn.Module:
    net = on_meta(lambda: build_network(recipe.net))
    if isinstance(net, MultimodalTransformer) and stage == "windows":
        net.freeze_trunks()
    if isinstance(net, PairwiseIntensity):
        net.freeze_first_convolutions()
    return net.train()


def kept_bytes(net: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
    """Bytes that a forward pass keeps for the backward pass, without parameters; the outputs."""
    own = {value.untyped_storage()._cdata for value in net.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(value: Tensor) -> Tensor:
        kept.setdefault(value.untyped_storage()._cdata, value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        outputs: dict[str, Tensor] = net(inputs)
    size = sum(v.untyped_storage().nbytes() for key, v in kept.items() if key not in own)
    return size, outputs


def step_cost(net: nn.Module, stage: str, samples: int) -> tuple[int, int]:
    """Kept bytes, and operations of forward and backward pass, of a network on the meta device."""
    inputs = net.zeros(samples, device="meta")  # type: ignore[operator]
    if stage in ("frames", "pairs") and "crops" in inputs and inputs["crops"].ndim == 5:
        inputs = {"crops": inputs["crops"][:, 0]}
    with FlopCounterMode(display=False) as counter:
        size, outputs = kept_bytes(net, inputs)
        forward = int(counter.get_total_flops())
        loss = sum(value.sum() for value in outputs.values() if value.requires_grad)
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
    # The counter takes the backward pass of grouped convolutions for that of dense ones.
    is_grouped = any(getattr(part, "groups", 1) > 1 for part in net.modules())
    return size, 3 * forward if is_grouped else int(counter.get_total_flops())

"""Parameters and multiply-accumulates of a network, counted on tensors that hold no values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network holds and does once."""

    parameters: int
    # of convolutions, linear layers and matrix products; normalization and activation are not
    # counted
    macs: int


def parameter_count(net: nn.Module) -> int:
    """Values in parameters, trained or frozen; buffers (running statistics) are not among them."""
    return sum(parameter.numel() for parameter in net.parameters())


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The network without memory for its values: three thousand million parameters cost nothing."""
    with torch.device("meta"):
        net = build()
    return net.to("meta").eval()  # what was made from arrays came with values


def macs_of(call: Callable[[], Any]) -> int:
    """Multiply-accumulates of `call`, say of `lambda: net(crops)`.

    PyTorch's counter hooks every operation below autograd, so that products outside of layers
    (attention, the graph) count as well; it counts two per multiply-accumulate.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def cost_of(build: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> Cost:
    """Cost of one forward pass over zeros of `shapes` (with the batch axis)."""
    net = on_meta(build)
    inputs: list[Tensor] = [torch.zeros(shape, device="meta") for shape in shapes]
    return Cost(parameter_count(net), macs_of(lambda: net(*inputs)))

"""Parameter and multiply-accumulate counts of networks, on meta tensors without data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, slots=True)
class Cost:
    """Size and compute of a network or a part of it.

    Attributes:
        parameters: Number of parameters.
        macs: Multiply-accumulates of one call.
    """

    parameters: int
    macs: int


def parameter_count(net: nn.Module) -> int:
    """Number of parameters, trained or frozen, without buffers."""
    return sum(parameter.numel() for parameter in net.parameters())


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network on the meta device, in evaluation mode, so that it takes no memory."""
    with torch.device("meta"):
        net = build()
    return net.to("meta").eval()  # parameters made from arrays are not on the meta device yet


def macs_of(call: Callable[[], Any]) -> int:
    """Multiply-accumulates of `call`, such as `lambda: net(crops)`.

    Convolutions and matrix products count, including those outside of layers (attention, graph);
    normalization and activation do not. PyTorch counts two FLOPs per multiply-accumulate.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) // 2

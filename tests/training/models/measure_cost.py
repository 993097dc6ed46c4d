"""Cost of one forward pass of a network, for tests."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from training.models.cost import macs_of, on_meta, parameter_count


def measure_cost(build: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> tuple[int, int]:
    """Parameters and multiply-accumulates for inputs of `shapes` (with the batch axis)."""
    net = on_meta(build)
    inputs = [torch.zeros(shape, device="meta") for shape in shapes]
    return parameter_count(net), macs_of(lambda: net(*inputs))

"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

WARMUPS: Final[dict[str, Callable[[int], float]]] = {
    # the plain mean of the first steps (mean teacher, Tarvainen & Valpola 2017)
    "mean": lambda updates: 1 - 1 / (updates + 1),
    # tf.train.ExponentialMovingAverage with `num_updates`
    "slow": lambda updates: (1 + updates) / (10 + updates),
}
"""Upper limit of the decay after so many updates, by name."""


class EmaModel:
    """Copy of a network in evaluation mode whose weights are a moving average of the network's.

    `update` after each optimizer step: a' = d a + (1 - d) w with d = min(decay, warm-up limit).
    Buffers (batch statistics) are averaged too, integers are copied. With `decay` 1 the copy is
    frozen.
    """

    def __init__(self, net: nn.Module, decay: float = 0.99, warmup: str = "mean") -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"the decay of an EMA must be in [0, 1], got {decay}")
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0
        self._decay_limit = WARMUPS[warmup]

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move the average toward the network's current weights."""
        self.updates += 1
        if self.decay == 1:
            return
        decay = min(self._decay_limit(self.updates), self.decay)
        pairs = zip(self.net.state_dict().values(), net.state_dict().values(), strict=True)
        for average, value in pairs:
            if average.dtype.is_floating_point:
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    @torch.no_grad()
    def predict(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = self.net(batch)
        return outputs

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, and the number of updates as `ema_updates`."""
        return {**self.net.state_dict(), "ema_updates": torch.tensor(self.updates)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.updates = int(state["ema_updates"])
        self.net.load_state_dict(
            {name: value for name, value in state.items() if name != "ema_updates"}
        )

"""Optimizers and their rates over a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

KINDS: Final = ("sgd", "adam")
SCHEDULES: Final = ("constant", "cosine", "restarts", "steps")


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """`schedule`: constant; cosine down to `floor` over the run; restarts, the same over `period`
    steps, then twice as many ..., anew in each epoch (M1); steps, times `factor` at each epoch
    of `milestones`.
    """

    kind: str = "adam"
    rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9  # of sgd; adam's first beta
    beta2: float = 0.999
    nesterov: bool = False
    schedule: str = "constant"
    floor: float = 0.0
    period: int = 200
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.schedule not in SCHEDULES:
            raise ValueError(
                f"optimizer must be of {KINDS} and {SCHEDULES}, got {self.kind!r} and {self.schedule!r}"
            )
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"optimizer.rate must be a number above 0, got {self.rate:g}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(
                f"optimizer.weight_decay must be a number not below 0, got {self.weight_decay:g}"
            )
        if self.period < 1:
            raise ValueError(f"optimizer.period must be at least 1, got {self.period}")


def build_optimizer(net: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Over what is trained in `net`; only weights of two or more axes decay (not normalizations,
    not biases).
    """
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.kind == "sgd":
        return torch.optim.SGD(
            groups, lr=config.rate, momentum=config.momentum, nesterov=config.nesterov
        )
    return torch.optim.Adam(groups, lr=config.rate, betas=(config.momentum, config.beta2))


def rate_at(config: OptimizerConfig, step: int, steps_per_epoch: float, epochs: int) -> float:
    """Learning rate of a step, counted from 0 over the run; an epoch may be a fraction of a step
    longer than whole ones.
    """
    if config.schedule == "steps":
        return config.rate * config.factor ** sum(
            step >= each * steps_per_epoch for each in config.milestones
        )
    if config.schedule == "constant":
        return config.rate
    if config.schedule == "cosine":
        share = step / max(1, steps_per_epoch * epochs)
    else:
        within, period = step % steps_per_epoch, config.period
        while within >= period:
            within, period = within - period, 2 * period
        share = within / period
    return config.floor + (config.rate - config.floor) * 0.5 * (1 + math.cos(math.pi * share))

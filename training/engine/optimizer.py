"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

KINDS: Final = ("sgd", "adam", "adamw")
SCHEDULES: Final = ("constant", "cosine", "warmup_cosine", "restarts", "steps")
_WARMUP_COSINE_FLOOR: Final = 0.01  # fraction of the peak rate at the end of `warmup_cosine`


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """Optimizer and learning-rate schedule of a recipe.

    `schedule` is one of
    constant;
    cosine: down to `floor` over the run;
    warmup_cosine: linear over `warmup_steps`, then a cosine down to a hundredth of `rate`;
    restarts: a cosine down to `floor` over `period` steps, then over twice as many, and so on,
    restarted every epoch (SGDR, Loshchilov & Hutter 2017);
    steps: times `factor` at each epoch of `milestones`.

    `max_gradient_norm` clips the norm of all gradients together; 0 does not clip.
    """

    kind: str = "adam"
    rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9  # of sgd; first beta of adam and adamw
    beta2: float = 0.999
    nesterov: bool = False
    schedule: str = "constant"
    floor: float = 0.0
    period: int = 200
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup_steps: int = 0
    max_gradient_norm: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in (("kind", KINDS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"optimizer.{name} must be one of {', '.join(choices)}, "
                    f"got {getattr(self, name)!r}"
                )
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"optimizer.rate must be a number above 0, got {self.rate:g}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(
                f"optimizer.weight_decay must be a number not below 0, got {self.weight_decay:g}"
            )
        if self.period < 1:
            raise ValueError(f"optimizer.period must be at least 1, got {self.period}")
        if not (math.isfinite(self.max_gradient_norm) and self.max_gradient_norm >= 0):
            raise ValueError(
                "optimizer.max_gradient_norm must be a number not below 0, "
                f"got {self.max_gradient_norm:g}"
            )
        if self.warmup_steps < 0:
            raise ValueError(f"optimizer.warmup_steps must be at least 0, got {self.warmup_steps}")


SHORT_COSINE: Final = OptimizerConfig(
    rate=3e-3, weight_decay=1e-4, schedule="cosine", floor=3e-5, max_gradient_norm=5.0
)
"""For small networks that are trained for minutes."""


def build_optimizer(net: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Optimizer over the trainable parameters; only weights of two or more axes decay (not biases
    and normalizations).
    """
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.kind == "sgd":
        return torch.optim.SGD(
            groups, lr=config.rate, momentum=config.momentum, nesterov=config.nesterov
        )
    adam = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return adam(groups, lr=config.rate, betas=(config.momentum, config.beta2))


def learning_rate_at(
    config: OptimizerConfig, step: int, steps_per_epoch: float, epochs: int
) -> float:
    """Learning rate of step `step` (from 0) of the run; `steps_per_epoch` may be fractional."""
    if config.schedule == "constant":
        return config.rate
    if config.schedule == "steps":
        passed = sum(step >= epoch * steps_per_epoch for epoch in config.milestones)
        return config.rate * config.factor**passed
    if config.schedule == "warmup_cosine":
        return _warmup_cosine(config, step, steps_per_epoch * epochs)
    if config.schedule == "cosine":
        progress = step / max(1, steps_per_epoch * epochs)
    else:
        within, period = step % steps_per_epoch, config.period
        while within >= period:
            within, period = within - period, 2 * period
        progress = within / period
    return config.floor + (config.rate - config.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def _warmup_cosine(config: OptimizerConfig, step: int, steps: float) -> float:
    if step < config.warmup_steps:
        return config.rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.rate * (_WARMUP_COSINE_FLOOR + (1 - _WARMUP_COSINE_FLOOR) * cosine)

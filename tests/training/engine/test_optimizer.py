"""Learning rate schedules and weight decay groups."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.engine.optimizer import OptimizerConfig, build_optimizer, learning_rate_at

pytestmark = pytest.mark.train


def theirs(scheduler: object, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()  # type: ignore[attr-defined]
    return rates


@pytest.mark.parametrize("schedule", ["cosine", "restarts", "steps"])
def test_learning_rate_matches_pytorch_schedulers(schedule: str) -> None:
    config = OptimizerConfig(
        "sgd",
        0.1,
        schedule=schedule,
        floor=0.001 * (schedule != "steps"),
        period=5,
        milestones=(2, 3),
        factor=0.3,
    )
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
    schedulers = torch.optim.lr_scheduler
    made = {
        "cosine": lambda: schedulers.CosineAnnealingLR(optimizer, 40, 0.001),
        "restarts": lambda: schedulers.CosineAnnealingWarmRestarts(optimizer, 5, 2, 0.001),
        "steps": lambda: schedulers.MultiStepLR(optimizer, [20, 30], 0.3),
    }[schedule]()
    per_epoch = 40 if schedule == "restarts" else 10
    found = [learning_rate_at(config, step, per_epoch, 40 // per_epoch) for step in range(40)]
    assert found == pytest.approx(theirs(made, optimizer, 40))


def test_learning_rate_with_restarts_repeats_each_period() -> None:
    config = OptimizerConfig("sgd", 0.1, schedule="restarts", period=5)
    assert [learning_rate_at(config, step, 12, 3) for step in range(12)] == [
        learning_rate_at(config, step, 12, 3) for step in range(12, 24)
    ]


def test_build_optimizer_decays_weights_and_skips_frozen_parameters() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).requires_grad_(False))
    decayed, others = build_optimizer(net, OptimizerConfig(weight_decay=0.1)).param_groups
    assert [p.shape for p in decayed["params"]] == [(4, 3)]
    assert decayed["weight_decay"] == 0.1
    assert others["weight_decay"] == 0
    assert len(others["params"]) == 3

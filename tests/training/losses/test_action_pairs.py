"""Losses over groups of one face with an added action unit."""

from __future__ import annotations

import pytest
import torch

from faceaffect.labels import AU_NAMES
from training.losses.action_pairs import LEVELS, action_order, others_stay

UNITS = len(AU_NAMES)


def groups(levels: list[float], unit: int = 3) -> torch.Tensor:
    logit = torch.full((2, LEVELS, UNITS), -3.0)
    logit[:, :, unit] = torch.tensor(levels)
    return logit


def test_order_prefers_rising_logits_wherever_they_are() -> None:
    unit = torch.tensor([3, 3])
    rising, flat, falling = (
        float(action_order(groups(levels), unit))
        for levels in ([-5.0, 1.0, 6.0], [-1.0, -1.0, -1.0], [4.0, 1.0, -4.0])
    )
    assert rising < 0.1 < flat < falling
    shifted = float(action_order(groups([5.0, 11.0, 16.0]), unit))
    assert shifted == pytest.approx(float(action_order(groups([-5.0, 1.0, 6.0]), unit)))


def test_order_pushes_only_the_added_unit() -> None:
    logit = groups([-1.0, -1.0, -1.0]).requires_grad_()
    action_order(logit, torch.tensor([3, -1])).backward()  # type: ignore[no-untyped-call]
    assert logit.grad is not None
    assert logit.grad[0, 2, 3] < 0 < logit.grad[0, 0, 3]
    assert not logit.grad[1].any()
    logit.grad[:, :, 3] = 0
    assert not logit.grad.any()


def test_order_without_a_known_unit_is_zero_and_differentiable() -> None:
    logit = groups([0.0, 0.0, 0.0]).requires_grad_()
    loss = action_order(logit, torch.tensor([-1, -1]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss) == 0


def test_other_units_are_held_where_the_twin_has_them() -> None:
    free = torch.zeros(2, UNITS, dtype=torch.bool)
    free[:, 3] = True
    still = groups([-3.0, 0.0, 3.0])
    assert float(others_stay(still, free)) == 0
    moved = still.clone()
    moved[0, 2, 5] += 2
    assert float(others_stay(moved, free)) == pytest.approx(1.5 / (2 * (UNITS - 1) * 2))
    free[0, 5] = True
    assert float(others_stay(moved, free)) == 0

"""A teacher follows its student, and answers where labels are missing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.methods.ema_teacher import Teacher, pseudo_targets

pytestmark = pytest.mark.train


def student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


def test_it_is_the_moving_average_of_weights_and_statistics() -> None:
    net = student()
    teacher = Teacher(net, decay=0.6)
    wanted = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(1, 6):
        with torch.no_grad():
            net.train()(torch.randn(8, 3))
            net[0].weight.add_(1.0)
        teacher.follow(net)
        kept = min(1 - 1 / (step + 1), 0.6)
        for name, value in net.state_dict().items():
            wanted[name] = (
                kept * wanted[name] + (1 - kept) * value
                if value.is_floating_point()
                else value.clone()
            )
    for name, value in teacher.net.state_dict().items():
        assert torch.allclose(value, wanted[name]), name
    assert not teacher.net.training
    assert not any(parameter.requires_grad for parameter in teacher.net.parameters())


def test_a_frozen_teacher_stays() -> None:
    net = student()
    teacher = Teacher(net, decay=1.0)
    before = teacher.net[0].weight.clone()
    net[0].weight.data.add_(1)
    teacher.follow(net)
    assert torch.equal(teacher.net[0].weight, before)


def test_a_resumed_teacher_goes_on_counting() -> None:
    net = student()
    first, second = Teacher(net), Teacher(net)
    for _ in range(3):
        net[0].weight.data.add_(1)
        first.follow(net)
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.follow(net)
    assert second.steps == 4
    assert torch.equal(first.net[0].weight, second.net[0].weight)


def test_an_impossible_decay() -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Teacher(student(), 1.5)


def test_answers_stand_only_where_labels_are_missing() -> None:
    batch = {
        "au_mask": torch.tensor([[1.0] * 12, [0.0] * 12]),
        "expression_mask": torch.tensor([0.0, 1.0]),
        "va_mask": torch.tensor([1.0, 0.0]),
    }
    said = {
        "au_logit": torch.zeros(2, 12),
        "expression_logit": torch.eye(8)[[3, 7]],
        "va": torch.tensor([[0.5, 3.0], [0.1, -2.0]]),
    }
    said["expression_logit"][1, 2] = 0.5  # the eighth class is never a target
    found = pseudo_targets(batch, said)
    assert torch.equal(found["au_mask"], 1 - batch["au_mask"])
    assert found["expression_mask"].tolist() == [1, 0]
    assert found["va_mask"].tolist() == [0, 1]
    assert found["expression"].tolist() == [3, 2]
    assert torch.equal(found["au"], torch.full((2, 12), 0.5))
    assert found["va"].tolist() == [[0.5, 1.0], [pytest.approx(0.1), -1.0]]
    assert pseudo_targets({"va_mask": torch.ones(2)}, {"au_logit": torch.zeros(2, 12)}) == {}

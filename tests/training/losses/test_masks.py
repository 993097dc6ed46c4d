"""Masks of all losses: unlabeled targets have no effect, and without labels the loss is zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.losses.total_loss import LOSSES

pytestmark = pytest.mark.train

PREDICTION = {
    "ce_smooth": (7,),
    "focal_softmax": (7,),
    "focal_sigmoid": (7,),
    "bce": (12,),
    "shifted_bce": (12,),
    "multi_label_ce": (12,),
    "pair_ce": (12, 2),
    "pair_dice": (12, 2),
    "value_l1": (12,),
    "smooth_l1": (2,),
    "mse": (2,),
    "ccc": (2,),
    "bins_ce": (2, 20),
    "landmark": (49, 2),
}


def sample(name: str, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, target and a full mask."""
    generator = torch.Generator().manual_seed(3)
    shape = PREDICTION[name]
    prediction = torch.randn(count, *shape, generator=generator)
    if shape == (7,):
        return (
            prediction,
            torch.randint(0, 7, (count,), generator=generator).float(),
            torch.ones(count),
        )
    if shape[0] == 12:
        return (
            prediction,
            torch.randint(0, 2, (count, 12), generator=generator).float(),
            torch.ones(count, 12),
        )
    width = (49, 2) if shape == (49, 2) else (2,)
    return prediction, torch.rand(count, *width, generator=generator) * 2 - 1, torch.ones(count)


def test_losses_are_all_covered() -> None:
    assert PREDICTION.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("marker", [-5.0, 999.0, float("nan")])
def test_loss_of_masked_targets_has_no_gradient(name: str, marker: float) -> None:
    prediction, target, mask = sample(name, 6)
    alone = LOSSES[name](prediction[:4], target[:4], mask[:4])
    target[4:], mask[4:] = marker, 0
    prediction.requires_grad_()
    loss = LOSSES[name](prediction, target, mask)
    assert loss.item() == pytest.approx(alone.item(), rel=1e-5)
    assert loss.item() > 0
    gradient = torch.autograd.grad(loss, prediction)[0]
    assert gradient[4:].abs().max() == 0
    assert gradient[:4].abs().max() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_loss_without_labels_is_zero_with_gradient(name: str) -> None:
    prediction, target, mask = sample(name, 3)
    prediction.requires_grad_()
    loss = LOSSES[name](prediction, torch.full_like(target, float("nan")), torch.zeros_like(mask))
    assert loss.item() == 0
    assert torch.autograd.grad(loss, prediction)[0].abs().max() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_one_sample_is_finite(name: str) -> None:
    assert torch.isfinite(LOSSES[name](*sample(name, 1)))

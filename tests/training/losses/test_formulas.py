"""Losses against their formulas in plain numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from training.losses import (
    action_units,
    expression,
    landmarks,
    valence_arousal,
)
from training.losses import distillation as teaching
from training.losses import ranking as comparing

pytestmark = pytest.mark.train
RNG = np.random.default_rng(0)
LOGIT, CLASSES = RNG.normal(size=(5, 7)), RNG.integers(0, 7, 5)
P = np.exp(LOGIT) / np.exp(LOGIT).sum(axis=1, keepdims=True)
AU, ACTIVE = RNG.normal(size=(6, 12)), RNG.integers(0, 2, (6, 12)).astype(float)
SIGMOID = 1 / (1 + np.exp(-AU))


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(array, float)) for array in arrays]


def over(function: object, *arrays: np.ndarray, **options: object) -> float:
    """The loss with everything labeled."""
    prediction, target = tensors(*arrays)
    mask = (
        torch.ones_like(target)
        if target.shape == prediction.shape[:2] and target.shape[1:] == (12,)
        else torch.ones(len(target)).double()
    )
    return float(function(prediction, target, mask, **options))  # type: ignore[operator]


def test_smoothed_cross_entropy() -> None:
    theirs = functional.cross_entropy(
        torch.from_numpy(LOGIT), torch.from_numpy(CLASSES), label_smoothing=0.1
    )
    assert over(expression.ce_smooth, LOGIT, CLASSES, eps=0.1) == pytest.approx(float(theirs))


def test_focal_losses() -> None:
    p = P[np.arange(5), CLASSES]
    assert over(expression.focal_softmax, LOGIT, CLASSES) == pytest.approx(
        (-((1 - p) ** 2) * np.log(p)).mean()
    )
    s, y = 1 / (1 + np.exp(-LOGIT)), np.eye(7)[CLASSES]
    expected = np.where(
        y > 0, -0.25 * (1 - s) ** 2 * np.log(s), -0.75 * s**2 * np.log(1 - s)
    ).mean()
    assert over(expression.focal_sigmoid, LOGIT, CLASSES) == pytest.approx(expected)


def test_binary_cross_entropies() -> None:
    weight = np.arange(1, 13)
    entropy = -(weight * ACTIVE * np.log(SIGMOID) + (1 - ACTIVE) * np.log(1 - SIGMOID))
    assert over(action_units.bce, AU, ACTIVE, positive_weight=tuple(weight)) == pytest.approx(
        entropy.mean()
    )
    assert over(
        action_units.bce, AU, ACTIVE, positive_weight=tuple(weight), summed=True
    ) == pytest.approx(12 * entropy.mean())
    shifted = -(
        weight * ACTIVE * np.log((SIGMOID + 0.05) / 1.05)
        + (1 - ACTIVE) * np.log((1.05 - SIGMOID) / 1.05)
    )
    assert over(
        action_units.shifted_bce, AU, ACTIVE, positive_weight=tuple(weight)
    ) == pytest.approx(shifted.mean())


def test_multi_label_cross_entropy() -> None:
    rows = [
        math.log(1 + sum(math.exp(q) for q, y in zip(logit, active, strict=True) if not y))
        + math.log(1 + sum(math.exp(-q) for q, y in zip(logit, active, strict=True) if y))
        for logit, active in zip(AU, ACTIVE, strict=True)
    ]
    assert over(action_units.multi_label_ce, AU, ACTIVE) == pytest.approx(np.mean(rows))


def test_pair_losses() -> None:
    pair = RNG.normal(size=(6, 12, 2))
    p = np.exp(pair) / np.exp(pair).sum(axis=2, keepdims=True)
    own = -(ACTIVE * np.log(p[..., 1]) + (1 - ACTIVE) * np.log(p[..., 0]))
    smooth = 0.9 * own + 0.1 * -np.log(p).mean(axis=2)
    weight = np.linspace(0.5, 1.5, 12)
    found = over(action_units.pair_ce, pair, ACTIVE, eps=0.1, class_weight=torch.from_numpy(weight))
    assert found == pytest.approx((smooth * weight).sum() / (6 * weight.sum()))
    q = p[..., 1]
    dice = 1 - (2 * (q * ACTIVE).sum(axis=0) + 1) / ((q**2).sum(axis=0) + ACTIVE.sum(axis=0) + 1)
    assert over(action_units.pair_dice, pair, ACTIVE) == pytest.approx(dice.mean())


def test_rare_aus_weigh_more() -> None:
    active = torch.zeros(100, 12)
    active[:, 0], active[:10, 1:] = 1, 1
    weight = action_units.inverse_rate_weights(active, torch.ones(100, 12))
    assert float(weight[1] / weight[0]) == pytest.approx(10)
    assert float(weight.mean()) == pytest.approx(1)


def test_valence_and_arousal() -> None:
    value, target = RNG.uniform(-1, 1, (40, 2)), RNG.uniform(-1, 1, (40, 2))
    concordance = [
        2 * np.cov(v, t, bias=True)[0, 1] / (v.var() + t.var() + (v.mean() - t.mean()) ** 2)
        for v, t in zip(value.T, target.T, strict=True)
    ]
    assert over(valence_arousal.ccc_loss, value, target) == pytest.approx(
        2 - sum(concordance), abs=1e-6
    )
    assert over(valence_arousal.mse, value, target) == pytest.approx(((value - target) ** 2).mean())
    bend = np.abs(value - target)
    smooth = np.where(bend < 1, bend**2 / 2, bend - 0.5).mean(axis=0).sum()
    assert over(valence_arousal.smooth_l1, value, target) == pytest.approx(smooth)
    logit = RNG.normal(size=(40, 2, 20))
    index = np.digitize(target, np.linspace(-1, 1, 21)[1:-1])
    q = np.exp(logit) / np.exp(logit).sum(axis=2, keepdims=True)
    expected = -np.log(np.take_along_axis(q, index[..., None], 2)).sum(axis=1).mean()
    assert over(valence_arousal.bins_ce, logit, target) == pytest.approx(expected)


def test_ccc_of_one_sample_is_left_out() -> None:
    assert over(valence_arousal.ccc_loss, np.ones((1, 2)), np.zeros((1, 2))) == 0


def test_distillation() -> None:
    student, teacher = torch.randn(4, 7), torch.randn(4, 7)
    p, q = (teacher / 1.5).softmax(dim=1), (student / 1.5).softmax(dim=1)
    expected = 2.25 * (p * (p / q).log()).sum(dim=1)[:3].mean()
    mask = torch.tensor([1.0, 1, 1, 0])
    assert float(teaching.distill_classes(student, teacher, mask)) == pytest.approx(
        float(expected), rel=1e-5
    )
    assert float(teaching.distill_classes(teacher, teacher, mask)) == pytest.approx(0, abs=1e-6)
    both = torch.stack([student, teacher], dim=1), torch.stack([teacher, teacher], dim=1)
    assert float(teaching.distill_classes(*both, mask)) == pytest.approx(float(expected), rel=1e-5)
    assert float(teaching.distill_values(student[:, :2], teacher[:, :2], mask)) == pytest.approx(
        float((student - teacher)[:3, :2].square().sum(dim=1).mean())
    )


def test_sigmoid_rampup_grows_to_its_peak() -> None:
    assert teaching.sigmoid_rampup(0) == pytest.approx(0.4 * math.exp(-5))
    assert teaching.sigmoid_rampup(15) == teaching.sigmoid_rampup(90) == 0.4
    assert teaching.sigmoid_rampup(3) < teaching.sigmoid_rampup(9)


def test_self_cure_parts_sure_from_unsure() -> None:
    alpha = torch.tensor([0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.9, 0.75, 0.72, 0.78])
    expected = 0.15 - (
        alpha.sort(descending=True).values[:7].mean() - alpha.sort().values[:3].mean()
    )
    assert float(teaching.rank_regularization(alpha)) == pytest.approx(
        max(0.0, float(expected)), abs=1e-6
    )
    assert float(teaching.rank_regularization(torch.tensor([0.9] * 7 + [0.1] * 3))) == 0
    assert float(teaching.rank_regularization(torch.full((10,), 0.5))) == pytest.approx(0.15)
    assert float(teaching.rank_regularization(torch.tensor([0.5]))) == 0


def test_pairs_of_intensities() -> None:
    first, second, order = (
        torch.tensor([0.0, 2.0, 1.0]),
        torch.tensor([3.0, 1.5, 1.0]),
        torch.tensor([1.0, 1.0, 0.0]),
    )
    assert float(comparing.pair_hinge(first, second, order)) == pytest.approx((0 + 1.5) / 2)
    zero = torch.zeros(3)
    normal = torch.distributions.Normal(0.0, 2**0.5)
    expected = -(1 - normal.cdf(torch.tensor([1 - 3.0, 1 + 0.5]))).log().mean()
    assert float(comparing.pair_gauss(first, second, zero, zero, order)) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_doubt_grows_where_the_order_is_wrong() -> None:
    log_sigma = torch.zeros(2, requires_grad=True)
    first, second = (
        torch.zeros(2, requires_grad=True),
        torch.tensor([3.0, -3.0], requires_grad=True),
    )
    loss = comparing.pair_gauss(first, second, log_sigma, log_sigma, torch.ones(2))
    gradient, untouched = torch.autograd.grad(loss, [log_sigma, first], allow_unused=True)
    assert gradient[0] > 0  # right order: less doubt lowers the loss
    assert gradient[1] < 0
    assert untouched is None


def test_landmarks_in_eye_distances() -> None:
    target = torch.rand(1, 49, 2) * 100
    eyes = [target[0, [19, 22]].mean(dim=0), target[0, [25, 28]].mean(dim=0)]
    apart = float((eyes[0] - eyes[1]).square().sum())
    found = landmarks.landmark_loss(target + torch.tensor([3.0, 4.0]), target, torch.ones(1))
    assert float(found) == pytest.approx(49 * 25 / (2 * apart), rel=1e-4)

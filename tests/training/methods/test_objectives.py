"""Objectives of training steps compared with formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.training.methods.network_cases import small_net
from training.engine.ema import EmaModel
from training.engine.optimizer import build_optimizer
from training.losses.distillation import distill_classes, sigmoid_rampup
from training.losses.total_loss import total_loss
from training.methods.objectives import distillation, mean_teacher, pairwise_ranking, supervised
from training.methods.recipe_lookup import find_recipe
from training.models.networks.pairwise_intensity import PairwiseIntensity

pytestmark = pytest.mark.train


class ConstantNet(nn.Module):
    """Network with constant outputs."""

    def __init__(self, **outputs: Tensor) -> None:
        super().__init__()
        self.outputs = nn.ParameterDict(
            {name: nn.Parameter(value) for name, value in outputs.items()}
        )

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return dict(self.outputs)


def batch(*known: float) -> dict[str, Tensor]:
    n = len(known)
    mask = torch.tensor(known)
    return {
        "crops": torch.zeros(n, 4, 4, 4),
        "au": torch.ones(n, 12),
        "au_mask": mask[:, None].expand(n, 12),
        "expression": torch.zeros(n),
        "expression_mask": mask,
        "va": torch.zeros(n, 2),
        "va_mask": mask,
    }


def m5_outputs() -> dict[str, Tensor]:
    """Random outputs of M5 for four samples."""
    return {
        "au_logit": torch.randn(4, 12),
        "expression_logit_8": torch.randn(4, 8),
        "va": torch.rand(4, 2),
        "alpha": torch.rand(4),
        "expression_logit": torch.randn(4, 7),
    }


def test_distillation_loss_weights_labeled_and_unlabeled_samples() -> None:
    recipe = find_recipe("M3")
    student = ConstantNet(expression_logit=torch.randn(4, 7), au_logit=torch.randn(4, 12))
    teacher = ConstantNet(expression_logit=torch.randn(4, 7), au_logit=torch.randn(4, 12))
    samples = batch(1, 0, 0, 1)
    parts = distillation(recipe, EmaModel(teacher, 1.0))(student, samples, 0.0)
    student_outputs, teacher_outputs = (
        {name: value.detach() for name, value in net.outputs.items()} for net in (student, teacher)
    )
    pair = [outputs["expression_logit"].split(1) for outputs in (student_outputs, teacher_outputs)]
    each = [float(distill_classes(a, b, torch.ones(1))) for a, b in zip(*pair, strict=True)]
    expected = (0.4 * each[0] + each[1] + each[2] + 0.4 * each[3]) / 4
    assert float(parts["teacher:expression_logit"].detach()) == pytest.approx(expected, rel=1e-5)
    label = total_loss(recipe.losses, dict(student_outputs), samples)["loss"]
    teacher_loss = parts["teacher:expression_logit"] + parts["teacher:au_logit"]
    assert float(parts["loss"].detach()) == pytest.approx(
        float((0.6 * label + teacher_loss).detach()), rel=1e-5
    )


def test_mean_teacher_over_batch_divides_by_batch_size() -> None:
    outputs = m5_outputs()
    student, teacher = (
        ConstantNet(**outputs),
        ConstantNet(**{name: torch.randn_like(value) for name, value in outputs.items()}),
    )
    samples = batch(1, 0, 1, 1)
    losses = {}
    for mean in ("missing", "batch"):
        recipe = find_recipe("M5", "compact", [f"teacher_mean={mean}"])
        parts = mean_teacher(recipe, EmaModel(teacher), cure=False)(student, samples, 20.0)
        losses[mean] = float(parts["teacher"].detach())
    assert losses["batch"] == pytest.approx(
        losses["missing"] / 4, rel=1e-5
    )  # one of four lacks its labels
    with pytest.raises(ValueError, match=r"teacher_mean must be one of"):
        find_recipe("M5", "compact", ["teacher_mean=all"])


def test_mean_teacher_loss_ramps_up_on_unlabeled_samples() -> None:
    recipe = find_recipe("M5", "compact")
    outputs = m5_outputs()
    student, teacher = (
        ConstantNet(**outputs),
        ConstantNet(**{name: torch.randn_like(value) for name, value in outputs.items()}),
    )
    objective = mean_teacher(recipe, EmaModel(teacher), cure=False)
    early, late = (objective(student, batch(1, 0, 0, 1), epoch) for epoch in (0.0, 20.0))
    assert float(early["teacher"] / late["teacher"]) == pytest.approx(
        sigmoid_rampup(0) / sigmoid_rampup(20), rel=1e-4
    )
    full = objective(student, batch(1, 1, 1, 1), 20.0)
    assert float(full["teacher"].detach()) == 0
    assert float(full["loss"]) == pytest.approx(
        float(supervised(recipe)(student, batch(1, 1, 1, 1), 0)["loss"])
    )
    cured = mean_teacher(recipe, EmaModel(teacher))(student, batch(1, 1, 1, 1), 20.0)
    assert float(cured["loss"] - full["loss"]) == pytest.approx(
        0.4 * float(cured["rank"]), rel=1e-3
    )


def test_pairwise_ranking_with_uncertainty_trains_sigma_only() -> None:
    net = small_net("pairwise_intensity", "net.shared=false")
    pairs = {
        "first": torch.randn(3, 3, 32, 32),
        "second": torch.randn(3, 3, 32, 32),
        "order": torch.ones(3, 12),
    }
    pairwise_ranking(uncertainty=True)(net, pairs, 0.0)["loss"].backward()
    reached = {
        name.split(".")[0]
        for name, p in net.named_parameters()
        if p.grad is not None and float(p.grad.abs().max()) > 0
    }
    assert reached == {"sigma"}
    pairwise_ranking(uncertainty=False)(net, pairs, 0.0)["loss"].backward()
    reached = {
        name.split(".")[0]
        for name, p in net.named_parameters()
        if p.grad is not None and float(p.grad.abs().max()) > 0
    }
    assert reached == {"sigma", "intensity"}


@pytest.mark.parametrize("options", [("net.shared=false",), ("net.shared=true",)])
def test_pairwise_ranking_with_frozen_intensity_keeps_intensity(options: tuple[str, ...]) -> None:
    net = small_net("pairwise_intensity", *options)
    assert isinstance(net, PairwiseIntensity)
    net.freeze_intensity()
    net.train()
    pairs = {
        "first": torch.randn(4, 3, 32, 32),
        "second": torch.randn(4, 3, 32, 32),
        "order": torch.ones(4, 12),
    }
    optimizer = build_optimizer(net, find_recipe("M7", "compact").optimizer)
    with torch.no_grad():
        before = net({"crops": pairs["first"]})
    objective, losses = pairwise_ranking(uncertainty=True), []
    for _ in range(5):
        loss = objective(net, pairs, 0.0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        after = net({"crops": pairs["first"]})
    assert losses[-1] < losses[0]
    assert torch.equal(after["intensity_raw"], before["intensity_raw"])
    assert not torch.equal(after["log_sigma"], before["log_sigma"])


def test_freeze_networks_leaves_mapping_trainable() -> None:
    net = small_net("pairwise_intensity")
    assert isinstance(net, PairwiseIntensity)
    net.freeze_networks()
    assert not any(part.training for part in net.train().networks()[0].modules())
    trained = {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {"mapping"}


def test_supervised_step_keeps_head_of_unlabeled_task() -> None:
    """A gradient of 0 would still move the head by Adam's momentum."""
    net, recipe = small_net("incomplete_labels"), find_recipe("M3", "compact")
    optimizer = build_optimizer(net, recipe.optimizer)
    samples = {**batch(1, 1, 1), "crops": torch.randn(3, 3, 48, 48)}
    for labels in (("au", "expression"), ("expression",)):
        before = {name: value.clone() for name, value in net.named_parameters()}
        chosen = {
            name: value
            for name, value in samples.items()
            if name.split("_")[0] in ("crops", *labels)
        }
        loss = supervised(recipe)(net, chosen, 0.0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        moved = {
            name.split(".")[0]
            for name, value in net.named_parameters()
            if not torch.equal(value, before[name])
        }
        assert moved == {"trunk", *labels}

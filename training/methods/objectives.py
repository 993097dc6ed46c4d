"""Training objectives: labels, a teacher's predictions, or the order of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from training.augmentation.clips import ClipJitter, augment_clips
from training.engine.ema import EmaModel
from training.engine.trainer import Objective
from training.losses.action_units import bce
from training.losses.distillation import (
    distill_classes,
    distill_values,
    rank_regularization,
    sigmoid_rampup,
)
from training.losses.ranking import pair_gauss, pair_hinge
from training.losses.total_loss import total_loss
from training.methods.normalization import NORMALIZATIONS
from training.methods.recipe import MethodRecipe

RANK_WEIGHT: Final = 12.0
TEACHER_WEIGHT: Final = 0.4
"""Weight of the teacher's loss on labeled samples (0.6 for the label's loss); 1 on the others."""

TEMPERATURE: Final = 1.5
TEACHER_JITTER: Final = ClipJitter(flip=0, brightness=0.2, contrast=0.2)
"""The EMA teacher's input: the same images, brighter or darker, with more or less contrast."""


def supervised(recipe: MethodRecipe, au_weight: Tensor | None = None) -> Objective:
    """The recipe's own losses on the labels."""

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        return total_loss(recipe.losses, net(batch), batch, au_weight)

    return objective


def mean_teacher(recipe: MethodRecipe, teacher: EmaModel, cure: bool = True) -> Objective:
    """The recipe's losses, and with a growing weight the same against the EMA teacher's predictions
    where labels are missing (M5).

    `recipe.teacher_mean` says which samples the latter are means over. The teacher sees
    `teacher_view`. With `cure` uncertain expressions are separated from certain ones (rank
    regularization).
    """

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        outputs = net(batch)
        parts = total_loss(recipe.losses, outputs, batch)
        targets = pseudo_targets(batch, teacher.predict(teacher_view(recipe, batch)))
        consistency = parts["loss"] * 0
        if targets:
            teacher_losses = total_loss(recipe.losses, outputs, targets)
            if recipe.teacher_mean == "batch":
                consistency = _mean_over_batch(recipe, teacher_losses, targets)
            else:
                consistency = teacher_losses["loss"]
        if cure and "alpha" in outputs:
            parts["rank"] = RANK_WEIGHT * rank_regularization(outputs["alpha"])
            consistency = consistency + parts["rank"]
        parts["teacher"] = sigmoid_rampup(epoch) * consistency
        parts["loss"] = parts["loss"] + parts["teacher"]
        return parts

    return objective


def teacher_view(recipe: MethodRecipe, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The batch with `TEACHER_JITTER` of its images, drawn for each clip; the images of facial
    parts, the fourth channel, stay as they are.
    """
    normalization = NORMALIZATIONS[recipe.normalization]
    view = dict(batch)
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, (1,))))
    for name in {"clip", "crops"} & batch.keys():
        images = normalization.invert(batch[name])
        colors, _ = augment_clips(images[..., :3, :, :], TEACHER_JITTER, generator)
        view[name] = normalization.apply(torch.cat([colors, images[..., 3:, :, :]], dim=-3))
    return view


def pseudo_targets(
    batch: Mapping[str, Tensor], predictions: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A teacher's predictions as labels with inverted masks: hard for expressions, soft for AUs and
    valence and arousal (M5).

    Holds only tasks that the teacher predicts; labeled entries are masked out.
    """
    targets: dict[str, Tensor] = {}
    if "au_logit" in predictions and "au_mask" in batch:
        targets["au"] = torch.sigmoid(predictions["au_logit"])
        targets["au_mask"] = 1 - batch["au_mask"].float()
    if "expression_logit" in predictions and "expression_mask" in batch:
        targets["expression"] = predictions["expression_logit"].argmax(dim=-1)
        targets["expression_mask"] = 1 - batch["expression_mask"].float()
    if "va" in predictions and "va_mask" in batch:
        targets["va"] = predictions["va"].clamp(-1, 1)
        targets["va_mask"] = 1 - batch["va_mask"].float()
    return targets


def _mean_over_batch(
    recipe: MethodRecipe, losses: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> Tensor:
    """Sum of the teacher's losses as means over all samples: each times the fraction of samples
    with a target.
    """
    labels = {f"{term.loss}:{term.output}": term.label for term in recipe.losses}
    means = [
        targets[f"{labels[name]}_mask"].float().mean() * value
        for name, value in losses.items()
        if name in labels
    ]
    return torch.stack(means).sum()


def distillation(recipe: MethodRecipe, teacher: EmaModel) -> Objective:
    """Soft targets of a frozen teacher of any recipe: 0.6 of the label's loss and 0.4 of the
    teacher's on labeled samples, the teacher's alone elsewhere (M8).

    Outputs that both networks have are distilled: expressions and bins as softened classes, AUs as
    probabilities, valence and arousal (where there are no bins) by distance.
    """

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        outputs, predictions = net(batch), teacher.predict(batch)
        label_losses = total_loss(recipe.losses, outputs, batch)
        parts = {name: (1 - TEACHER_WEIGHT) * value for name, value in label_losses.items()}
        label_loss = parts.pop("loss")
        teacher_losses = _teacher_losses(outputs, predictions, batch)
        parts |= {f"teacher:{name}": value for name, value in teacher_losses.items()}
        parts["loss"] = sum(teacher_losses.values()) + label_loss
        return parts

    return objective


def _teacher_losses(
    outputs: Mapping[str, Tensor], predictions: Mapping[str, Tensor], batch: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The teacher's losses by output; a sample weighs `TEACHER_WEIGHT` if labeled, else 1."""
    losses: dict[str, Tensor] = {}
    for name, label in (
        ("expression_logit", "expression"),
        ("va_bin_logit", "va"),
        ("va", "va"),
        ("au_logit", "au"),
    ):
        if name not in outputs or name not in predictions:
            continue
        if name == "va" and "va_bin_logit" in losses:
            continue
        batch_axes = outputs[name].ndim - (2 if name == "va_bin_logit" else 1)
        student = outputs[name].flatten(0, batch_axes - 1)
        target = predictions[name].flatten(0, batch_axes - 1)
        mask = batch.get(f"{label}_mask")
        if mask is None:
            is_labeled = student.new_zeros(len(student))
        else:
            is_labeled = mask.flatten(0, batch_axes - 1).float()
        weight = 1 - (1 - TEACHER_WEIGHT) * is_labeled
        if name == "au_logit":
            wide = weight if weight.ndim == 2 else weight[:, None].expand_as(student)
            losses[name] = wide.mean() * bce(student, torch.sigmoid(target), wide)
        elif name == "va":
            losses[name] = weight.mean() * distill_values(student, target, weight)
        else:
            losses[name] = weight.mean() * distill_classes(student, target, weight, TEMPERATURE)
    return losses


def pairwise_ranking(uncertainty: bool, margin: float = 1.0) -> Objective:
    """M7's first stage, and with `uncertainty` its second, over batches of `first`, `second` and
    `order` [N, 12].

    In the second stage intensities get no gradient; the caller freezes the layers that they share
    with their uncertainty.
    """

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        outputs = net({"crops": torch.cat([batch["first"], batch["second"]])})
        first, second = outputs["intensity_raw"].chunk(2)
        if not uncertainty:
            return {"loss": pair_hinge(first, second, batch["order"], margin)}
        log_sigma, second_log_sigma = outputs["log_sigma"].chunk(2)
        loss = pair_gauss(first, second, log_sigma, second_log_sigma, batch["order"], margin)
        return {"loss": loss}

    return objective

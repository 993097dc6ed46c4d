"""What a step of training minimizes: labels, a teacher's answers, or the order of pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from training.losses.action_units import bce
from training.losses.distillation import distil_classes, distil_values, ramp, rank_regularization
from training.losses.ranking import pair_gauss, pair_hinge
from training.methods.ema_teacher import Teacher, pseudo_targets
from training.methods.recipe import Recipe
from training.methods.total_loss import total_loss

Objective = Callable[[nn.Module, Mapping[str, Tensor], float], dict[str, Tensor]]
"""(network, batch, epochs passed) -> losses by name, `loss` their sum."""

RANK_WEIGHT: Final = 12.0
TEACHER_SHARE: Final = (
    0.4  # of the loss where a label is there too; without a label the teacher has all of it
)


def from_labels(recipe: Recipe, au_weight: Tensor | None = None) -> Objective:
    """The recipe's own losses."""

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        return total_loss(recipe.losses, net(batch), batch, au_weight)

    return objective


def with_moving_teacher(
    recipe: Recipe, teacher: Teacher, cure: bool = True, jitter: float = 0.2
) -> Objective:
    """M5: the recipe's losses, and by a growing weight the same against the teacher's answers where
    labels are missing.

    `recipe.teacher_mean` says over which samples these are means. The teacher sees the clip
    brighter or darker, by up to `jitter` of its deviation. With `cure` doubtful expressions are
    parted from sure ones.
    """

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        outputs = net(batch)
        parts = total_loss(recipe.losses, outputs, batch)
        seen = dict(batch)
        for name in {"clip", "crops"} & batch.keys():
            shift = torch.empty(len(batch[name])).uniform_(-jitter, jitter).to(batch[name])
            seen[name] = batch[name] + shift.reshape(-1, *[1] * (batch[name].ndim - 1))
        answers = pseudo_targets(batch, teacher.outputs(seen))
        consistent = parts["loss"] * 0
        if answers:
            taught = total_loss(recipe.losses, outputs, answers)
            if recipe.teacher_mean == "batch":
                taught["loss"] = _over_batch(recipe, taught, answers)
            consistent = taught["loss"]
        if cure and "alpha" in outputs:
            parts["rank"] = RANK_WEIGHT * rank_regularization(outputs["alpha"])
            consistent = consistent + parts["rank"]
        parts["teacher"] = ramp(epoch) * consistent
        parts["loss"] = parts["loss"] + parts["teacher"]
        return parts

    return objective


def _over_batch(
    recipe: Recipe, taught: Mapping[str, Tensor], answers: Mapping[str, Tensor]
) -> Tensor:
    """The teacher's losses as means over all samples: each times the share of those that it answers
    for.
    """
    terms = {f"{term.loss}:{term.output}": term.label for term in recipe.losses}
    shares = [
        answers[f"{terms[name]}_mask"].float().mean() * value
        for name, value in taught.items()
        if name in terms
    ]
    return torch.stack(shares).sum()


def distilled(
    recipe: Recipe, teacher: Teacher, temperature: float = 1.5, labels: bool = True
) -> Objective:
    """A frozen teacher of any recipe: 0.6 of the label's loss and 0.4 of the teacher's where there
    is a label, the teacher's alone elsewhere (M8). Without `labels` the teacher alone
    (distillation into a student).

    The teacher teaches what both networks give: expression and bins by softened classes, AUs by
    probabilities, valence and arousal, where there are no bins, by distance.
    """

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        outputs, said = net(batch), teacher.outputs(batch)
        share = TEACHER_SHARE if labels else 1.0
        parts: dict[str, Tensor] = {}
        if labels:
            parts |= {
                name: (1 - share) * value
                for name, value in total_loss(recipe.losses, outputs, batch).items()
            }
        label_loss = parts.pop("loss", None)
        for name, value in _taught(outputs, said, batch, share, temperature).items():
            parts[f"teacher:{name}"] = value
        if len(parts) == 0:
            raise ValueError(
                f"teacher and student share no read-out: {sorted(said)} and {sorted(outputs)}"
            )
        taught = [value for name, value in parts.items() if name.startswith("teacher:")]
        parts["loss"] = sum(taught) + (0 if label_loss is None else label_loss)  # type: ignore[assignment]
        return parts

    return objective


def _taught(
    outputs: Mapping[str, Tensor],
    said: Mapping[str, Tensor],
    batch: Mapping[str, Tensor],
    share: float,
    temperature: float,
) -> dict[str, Tensor]:
    """The teacher's losses by output; a sample counts `share` where it is labeled, fully elsewhere."""
    found: dict[str, Tensor] = {}
    for name, label in (
        ("expression_logit", "expression"),
        ("va_bin_logit", "va"),
        ("va", "va"),
        ("au_logit", "au"),
    ):
        if name not in outputs or name not in said or (name == "va" and "va_bin_logit" in found):
            continue
        own, theirs = outputs[name], said[name]
        width = 2 if name == "va_bin_logit" else 1
        lead = own.ndim - width
        own, theirs = (each.flatten(0, lead - 1) for each in (own, theirs))
        mask = batch.get(f"{label}_mask")
        known = own.new_zeros(len(own)) if mask is None else mask.flatten(0, lead - 1).float()
        weight = 1 - (1 - share) * known
        if name == "au_logit":
            wide = weight if weight.ndim == 2 else weight[:, None].expand_as(own)
            found[name] = wide.mean() * bce(own, torch.sigmoid(theirs), wide)
        elif name == "va":
            found[name] = weight.mean() * distil_values(own, theirs, weight)
        else:
            found[name] = weight.mean() * distil_classes(own, theirs, weight, temperature)
    return found


def ordering_pairs(uncertainty: bool, margin: float = 1.0) -> Objective:
    """M7's first stage, and with `uncertainty` its second, over batches of `first`, `second` and
    `order` [N, 12].

    In the second stage intensities carry no gradient; the caller freezes what they share with
    their uncertainty.
    """

    def objective(net: nn.Module, batch: Mapping[str, Tensor], epoch: float) -> dict[str, Tensor]:
        both = net({"crops": torch.cat([batch["first"], batch["second"]])})
        first, second = both["intensity_raw"].chunk(2)
        if not uncertainty:
            return {"loss": pair_hinge(first, second, batch["order"], margin)}
        doubt, doubt_second = both["log_sigma"].chunk(2)
        return {"loss": pair_gauss(first, second, doubt, doubt_second, batch["order"], margin)}

    return objective

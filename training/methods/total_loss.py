"""The losses of a recipe over a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor

from training.losses import action_units, expression, landmarks, valence_arousal

LOSSES: Final[dict[str, Callable[..., Tensor]]] = {
    "ce_smooth": expression.ce_smooth,
    "focal_softmax": expression.focal_softmax,
    "focal_sigmoid": expression.focal_sigmoid,
    "bce": action_units.bce,
    "shifted_bce": action_units.shifted_bce,
    "multi_label_ce": action_units.multi_label_ce,
    "pair_ce": action_units.pair_ce,
    "pair_dice": action_units.pair_dice,
    "value_l1": action_units.value_l1,
    "smooth_l1": valence_arousal.smooth_l1,
    "mse": valence_arousal.mse,
    "ccc": valence_arousal.ccc_loss,
    "bins_ce": valence_arousal.bins_ce,
    "landmark": landmarks.landmark_loss,
}
"""Losses of (prediction, target, mask) by their names in recipes."""

_WEIGHTED: Final = {
    "pair_ce",
    "pair_dice",
}  # take one weight per AU, counted from the training labels


@dataclass(frozen=True, slots=True)
class LossTerm:
    """`weight` times a loss between an output of the network and a label of the batch (`label`,
    `label`_mask).
    """

    loss: str
    output: str
    label: str
    weight: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}, there are {sorted(LOSSES)}")


def total_loss(
    terms: tuple[LossTerm, ...],
    outputs: Mapping[str, Tensor],
    batch: Mapping[str, Tensor],
    au_weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Each term by `loss:output`, and `loss`, their weighted sum.

    Labels are `au` [N, 12], `expression` [N], `va` [N, 2], `landmarks_49` [N, 49, 2] and their
    masks (`au_mask` [N, 12], others [N]). A sequence [N, T, ...] counts as N T samples. A label
    that the batch lacks leaves its terms out; ValueError where nothing is left.
    """
    parts: dict[str, Tensor] = {}
    for term in terms:
        if term.label not in batch or term.output not in outputs:
            continue
        target, mask = batch[term.label], batch[f"{term.label}_mask"]
        prediction = outputs[term.output]
        lead = mask.ndim - (1 if term.label == "au" else 0)
        if lead > 1:
            prediction, target, mask = (
                each.flatten(0, lead - 1) for each in (prediction, target, mask)
            )
        options = dict(term.options)
        if term.loss in _WEIGHTED and au_weight is not None:
            options["class_weight"] = au_weight
        parts[f"{term.loss}:{term.output}"] = term.weight * LOSSES[term.loss](
            prediction, target, mask.float(), **options
        )
    if not parts:
        wanted = sorted({f"{term.output} against {term.label}" for term in terms})
        raise ValueError(
            f"no loss applies: wanted {wanted}, the batch holds {sorted(batch)}, outputs are {sorted(outputs)}"
        )
    parts["loss"] = sum(parts.values())  # type: ignore[assignment]
    return parts

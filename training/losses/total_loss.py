"""Weighted sum of a recipe's losses over a batch."""

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

_AU_WEIGHTED: Final = {"pair_ce", "pair_dice"}
"""Losses with one weight per AU, computed from the training labels."""


@dataclass(frozen=True, slots=True)
class LossTerm:
    """`weight` times a loss between an output of the network and a label of the batch with its
    `<label>_mask`.
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
    """Losses by `loss:output`, and `loss`, their weighted sum.

    Labels are `au` [N, 12], `expression` [N], `va` [N, 2], `landmarks_49` [N, 49, 2] and their
    masks (`au_mask` [N, 12], others [N]). A sequence [N, T, ...] counts as N T samples. Terms
    whose label is not in the batch are left out; ValueError if no term is left.
    """
    parts: dict[str, Tensor] = {}
    for term in terms:
        if term.label not in batch or term.output not in outputs:
            continue
        target, mask = batch[term.label], batch[f"{term.label}_mask"]
        prediction = outputs[term.output]
        batch_axes = mask.ndim - (1 if term.label == "au" else 0)
        if batch_axes > 1:
            prediction, target, mask = (
                value.flatten(0, batch_axes - 1) for value in (prediction, target, mask)
            )
        options = dict(term.options)
        if term.loss in _AU_WEIGHTED and au_weight is not None:
            options["class_weight"] = au_weight
        parts[f"{term.loss}:{term.output}"] = term.weight * LOSSES[term.loss](
            prediction, target, mask.float(), **options
        )
    if not parts:
        expected = sorted({f"{term.output} against {term.label}" for term in terms})
        raise ValueError(
            f"no loss applies: expected {expected}, got a batch of {sorted(batch)} "
            f"and outputs {sorted(outputs)}"
        )
    parts["loss"] = sum(parts.values())  # type: ignore[assignment]
    return parts

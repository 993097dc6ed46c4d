"""Losses of the fine-tuning on known actions: what is learned, and what keeps its answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceaffect.labels import AU_NAMES
from training.losses.action_pairs import LEVELS, action_order, others_stay
from training.losses.action_units import bce
from training.models.affect_net import AffectNet
from training.real_skin.evidence import KEPT_ON_REAL_FACES

APART_FROM_EXPRESSION: Final = ("AU4", "AU7", "AU10", "AU15", "AU23", "AU24")
"""Units that must not be another name of an expression: see `shadow_penalty`."""

ALLOWED_CORRELATION: Final = 0.11
"""Mean squared correlation of a unit with the expression scores of a batch."""

_KEPT: Final = [AU_NAMES.index(name) for name in KEPT_ON_REAL_FACES]
_APART: Final = [AU_NAMES.index(name) for name in APART_FROM_EXPRESSION]
_MIN_SCORE_SPREAD: Final = 0.05
_MIN_LOGIT_SPREAD: Final = 0.5


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Groups of known actions in a batch, number of batches, and the weights of the losses."""

    groups: int = 24
    distinct_batches: int = 300
    au: float = 6.0
    rendered: float = 4.0
    kept: float = 2.0
    shadow: float = 0.5
    expression: float = 0.3
    va: float = 5.0
    order: float = 1.0
    stay: float = 1.0


class FrozenHeads(nn.Module):
    """The heads as they were at the start, whose answers on the same features are kept."""

    def __init__(self, net: AffectNet) -> None:
        super().__init__()
        self.au_nodes, self.affect, self.au_graph = (
            copy.deepcopy(part).eval().requires_grad_(False)
            for part in (net.au_nodes, net.affect, net.au_graph)
        )

    @torch.no_grad()
    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns logits of AUs [N, 12] and expressions [N, 7], and raw V/A [N, 2]."""
        nodes = self.au_nodes(fine, coarse)
        expression, va = self.affect(coarse, nodes)
        return self.au_graph(nodes), expression, va


def freeze_features(net: AffectNet) -> None:
    """Leaves only the AU nodes, the graph and what follows the nodes to be trained."""
    for part in (net.trunk, net.geometry, net.affect.embed):
        part.requires_grad_(False)


def shadow_penalty(logit: Tensor, expression_logit: Tensor) -> Tensor:
    """Returns the sum over units of the excess mean squared correlation with expression scores.

    Some correlation is true: what is below `ALLOWED_CORRELATION` costs nothing.

    Args:
        logit: AU logits [N, K].
        expression_logit: [N, 7], of the same faces; their probabilities are scores, too.
    """
    scores = torch.cat([torch.softmax(expression_logit, 1), expression_logit], dim=1)
    scores = (scores - scores.mean(0)) / scores.std(0).clamp(min=_MIN_SCORE_SPREAD)
    centered = (logit - logit.mean(0)) / logit.std(0).clamp(min=_MIN_LOGIT_SPREAD)
    correlation = centered.T @ scores / len(scores)
    return functional.relu(correlation.square().mean(dim=1) - ALLOWED_CORRELATION).sum()


class KnownActionObjective:
    """Losses of the AU branch on `FeatureBatches`; everything else keeps its answers.

    Trunk and geometry are frozen, so landmarks, pose, face and quality stay exactly. Expressions,
    valence and arousal take the AU nodes as input and are held at their first answers, as are the
    AUs of rendered faces and some units of real ones.
    """

    def __init__(self, options: PairOptions) -> None:
        self._options = options
        self._frozen: FrozenHeads | None = None

    def start(self, net: AffectNet) -> None:
        """Keeps the heads of `net` as those whose answers stay."""
        self._frozen = FrozenHeads(net)

    def __call__(
        self, net: nn.Module, batch: Mapping[str, Tensor], epoch: float
    ) -> dict[str, Tensor]:
        assert isinstance(net, AffectNet)
        assert self._frozen is not None
        net.eval()  # batch statistics stay, too
        fine, coarse = batch["fine"], batch["coarse"]
        nodes = net.au_nodes(fine, coarse)
        expression, va = net.affect(coarse, nodes)
        logit = net.au_graph(nodes)
        old_logit, old_expression, old_va = self._frozen(fine, coarse)
        rows, rendered, real = batch["in_group"], batch["rendered"], batch["real"]
        grouped = logit[rows].reshape(-1, LEVELS, len(AU_NAMES))
        parts = {
            "au": bce(logit, batch["au"], batch["au_weight"]),
            "rendered": functional.smooth_l1_loss(logit[rendered], old_logit[rendered]),
            "kept": functional.smooth_l1_loss(logit[real][:, _KEPT], old_logit[real][:, _KEPT]),
            "shadow": shadow_penalty(logit[real][:, _APART], old_expression[real]),
            "expression": functional.mse_loss(expression, old_expression),
            "va": functional.mse_loss(va, old_va),
            "order": action_order(grouped, batch["unit"][rows][::LEVELS]),
            "stay": others_stay(grouped, batch["free"][rows][::LEVELS]),
        }
        weights = asdict(self._options)
        parts["loss"] = sum(
            (weights[name] * value for name, value in parts.items()), logit.new_zeros(())
        )
        return parts

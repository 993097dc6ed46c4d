"""Network of M8: a trunk with two narrow heads, VA over bins, and a GRU over their features.

Vu et al., "Multitask Multi-database Emotion Recognition", 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from faceaffect.labels import EXPRESSION_NAMES
from training.models.backbones.build_backbone import build_backbone, width_of
from training.models.stages import EXPRESSION_LOGIT, VA, MethodNet, Stage, TensorForm
from training.models.tasks.value_bins import ValueBins
from training.models.temporal.gru_head import GruHead

RECURRENCES: Final = ("none", "forward", "both")


@dataclass(frozen=True, slots=True)
class MultiDatabaseConfig:
    """`recurrence`: none (the CNN alone), forward (runs frame by frame) or both (as published)."""

    trunk: str = "resnet50"
    size_px: int = 112
    hidden: int = 128
    bins: int = 20
    recurrence: str = "both"
    gru_width: int = 64
    window: int = 32
    dropout: float = 0.5
    expressions: int = len(EXPRESSION_NAMES)


class NarrowHead(nn.Module):
    """[N, inputs] -> features [N, hidden] (BN, FC, ReLU, BN) and logits [N, outputs] of them."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.BatchNorm1d(inputs), nn.Linear(inputs, hidden), nn.ReLU(), nn.BatchNorm1d(hidden)
        )
        self.read = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, outputs))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(pooled)
        return features, self.read(features)


class MultiDatabase(MethodNet):
    """`crops` [N, 3, S, S] pass the CNN alone; [N, T, 3, S, S] the GRU too.

    Gives `expression_logit`, `va` and `va_bin_logit` [.., 2, bins]; of a sequence also the CNN's
    own read-outs under `frame_...`.
    """

    def __init__(self, config: MultiDatabaseConfig) -> None:
        super().__init__()
        if config.recurrence not in RECURRENCES:
            raise ValueError(f"recurrence must be one of {RECURRENCES}, got {config.recurrence!r}")
        self.config = config
        self.trunk = build_backbone(config.trunk)
        outputs = {"expression": config.expressions, "va": 2 * config.bins}
        width = width_of(self.trunk)
        self.heads = nn.ModuleDict(
            {n: NarrowHead(width, config.hidden, o, config.dropout) for n, o in outputs.items()}
        )
        self.grus: nn.ModuleDict | None = None
        if config.recurrence != "none":
            both = config.recurrence == "both"
            self.grus = nn.ModuleDict(
                {n: GruHead(config.hidden, config.gru_width, o, both) for n, o in outputs.items()}
            )
        self.bins = ValueBins(config.bins)

    def freeze_trunk(self) -> None:
        """Freeze trunk and narrow heads in evaluation mode, for the second training stage."""
        self.trunk.requires_grad_(False)
        self.heads.requires_grad_(False)
        self._frozen = True

    def train(self, mode: bool = True) -> MultiDatabase:
        super().train(mode)
        if getattr(self, "_frozen", False):
            self.trunk.eval()
            self.heads.eval()
        return self

    def _named(self, expression: Tensor, bins: Tensor, prefix: str = "") -> dict[str, Tensor]:
        bins, va = self.bins(bins)
        return {
            f"{prefix}expression_logit": expression,
            f"{prefix}va": va,
            f"{prefix}va_bin_logit": bins,
        }

    def _features(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pooled = self.trunk(crops)
        expression, expression_logit = self.heads["expression"](pooled)
        va, bins = self.heads["va"](pooled)
        return expression, va, expression_logit, bins

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        crops = batch["crops"]
        if crops.ndim == 4:
            _, _, logit, bins = self._features(crops)
            return self._named(logit, bins)
        expression, va, logit, bins = (
            torch.unflatten(each, 0, crops.shape[:2])
            for each in self._features(crops.flatten(0, 1))
        )
        if self.grus is None:
            return self._named(logit, bins)
        outputs = self._named(self.grus["expression"](expression), self.grus["va"](va))
        return {**outputs, **self._named(logit, bins, "frame_")}

    def input_forms(self) -> tuple[TensorForm, ...]:
        size, steps = self.config.size_px, () if self.grus is None else (self.config.window,)
        return (TensorForm("crops", (*steps, 3, size, size)),)

    def stages(self) -> tuple[Stage, ...]:
        size, hidden, width = self.config.size_px, self.config.hidden, self.config.gru_width
        crops = TensorForm("crops", (3, size, size))
        outputs = (EXPRESSION_LOGIT, VA)
        if self.grus is None:

            def frame_outputs(images: Tensor) -> tuple[Tensor, ...]:
                predictions = self({"crops": images})
                return predictions["expression_logit"], predictions["va"]

            return (self.stage("frame", frame_outputs, (crops,), outputs),)
        if self.config.recurrence == "both":
            raise ValueError(
                "a bidirectional GRU cannot run on video; build the network with recurrence=forward"
            )
        grus = self.grus

        def temporal(
            expression: Tensor, va: Tensor, h_expression: Tensor, h_va: Tensor
        ) -> tuple[Tensor, ...]:
            logit, h_expression = grus["expression"].step(expression, h_expression)  # type: ignore[operator]
            bins, h_va = grus["va"].step(va, h_va)  # type: ignore[operator]
            return logit, self.bins(bins)[1], h_expression, h_va

        features = (
            TensorForm("expression_features", (hidden,)),
            TensorForm("va_features", (hidden,)),
        )
        states = (TensorForm("h_expression", (width,)), TensorForm("h_va", (width,)))
        return (
            self.stage("frame", lambda images: self._features(images)[:2], (crops,), features),
            self.stage("temporal", temporal, features, outputs, states),
        )

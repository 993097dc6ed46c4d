"""Network of M3: one trunk and an MLP head per task; the method is in the order of training.

Thinh et al., "Emotion Recognition with Incomplete Labels Using Modified Multi-task Learning
Technique", 2021 (arXiv 2107.04192).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.models.backbones.build_backbone import build_backbone, width_of
from training.models.stages import AU_LOGIT, EXPRESSION_LOGIT, FrameNet
from training.models.tasks.mlp_head import MlpHead


@dataclass(frozen=True, slots=True)
class IncompleteLabelsConfig:
    """Backbone and layer widths; `expressions` 8 has the class Other of ABAW3 and later."""

    trunk: str = "resnet50"
    size_px: int = 112
    hidden: int = 512
    dropout: float = 0.5
    expressions: int = len(EXPRESSION_NAMES)


class IncompleteLabels(FrameNet):
    """Predicts AU and expression logits."""

    def __init__(self, config: IncompleteLabelsConfig) -> None:
        super().__init__(config.size_px, (AU_LOGIT, EXPRESSION_LOGIT))
        self.trunk = build_backbone(config.trunk)
        width = width_of(self.trunk)
        self.au = MlpHead(width, len(AU_NAMES), config.hidden, config.dropout)
        self.expression = MlpHead(width, config.expressions, config.hidden, config.dropout)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.trunk(batch["crops"])
        return {"au_logit": self.au(features), "expression_logit": self.expression(features)}

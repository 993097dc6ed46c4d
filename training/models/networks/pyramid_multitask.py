"""Network of M6: all tasks from a feature pyramid.

He et al., "Feature Pyramid Network for Multi-task Affective Analysis", 2021 (arXiv 2107.03670).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.models.encoders.feature_pyramid import FeaturePyramid, PyramidRead
from training.models.stages import AU_LOGIT, EXPRESSION_LOGIT, VA, FrameNet


@dataclass(frozen=True, slots=True)
class PyramidConfig:
    """`levels` is how the pyramid is read: concat, per_level or last. `frozen` fits a pretrained
    trunk only. `expressions` 8 has the class Other of ABAW3 and later.
    """

    trunk: str = "resnet50"
    size_px: int = 128
    width: int = 256
    levels: str = "concat"
    frozen: bool = True
    expressions: int = len(EXPRESSION_NAMES)


class PyramidMultitask(FrameNet):
    """Predicts all tasks; valence and arousal are linear, as published, and must be clipped."""

    def __init__(self, config: PyramidConfig) -> None:
        super().__init__(config.size_px, (AU_LOGIT, EXPRESSION_LOGIT, VA))
        self.expressions = config.expressions
        self.pyramid = FeaturePyramid(config.trunk, config.width, config.levels == "last")
        if config.frozen:
            self.pyramid.freeze_low_levels()
        self.read = PyramidRead(config.width, 2 + config.expressions + len(AU_NAMES), config.levels)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        values = self.read(self.pyramid(batch["crops"]))
        va, expression, au = values.split([2, self.expressions, len(AU_NAMES)], dim=1)
        return {"va": va, "expression_logit": expression, "au_logit": au}

"""Network of M1: deviation embedding (face minus identity) and heads AU -> expression -> VA.

Zhang et al., "Prior Aided Streaming Network for Multi-task Affective Recognition at the 2nd ABAW2
Competition", 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from faceaffect.labels import EXPRESSION_NAMES
from training.models.encoders.deviation import DeviationEncoder, DeviationStudent
from training.models.stages import AU_LOGIT, EXPRESSION_LOGIT, VA, FrameNet
from training.models.tasks.streaming_heads import ORDERS, StreamingHeads


@dataclass(frozen=True, slots=True)
class PriorAidedStreamingConfig:
    """`student` puts one network in place of the pair; `expressions` 8 has the class Other of ABAW3
    and later.
    """

    trunk: str = "inception_resnet_v1"
    size_px: int = 224
    embedding: int = 512
    subtract_identity: bool = True
    student: bool = False
    order: str = ORDERS[0]
    expressions: int = len(EXPRESSION_NAMES)


class PriorAidedStreaming(FrameNet):
    """Gives also `au_pair` [N, 12, 2], of which `au_logit` is the second, and `deviation` [N,
    embedding].
    """

    def __init__(self, config: PriorAidedStreamingConfig) -> None:
        super().__init__(config.size_px, (AU_LOGIT, EXPRESSION_LOGIT, VA))
        if config.student:
            self.encoder: DeviationStudent | DeviationEncoder = DeviationStudent(
                config.trunk, config.embedding
            )
        else:
            self.encoder = DeviationEncoder(
                config.trunk, config.embedding, config.subtract_identity
            )
        self.heads = StreamingHeads(
            config.embedding, order=config.order, expressions=config.expressions
        )

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        deviation = self.encoder(batch["crops"])
        pairs, expression, va = self.heads(deviation)
        read = {"au_logit": pairs[..., 1], "expression_logit": expression, "va": va}
        return {**read, "au_pair": pairs, "deviation": deviation}

"""M2, multi-modal and multi-task: image and audio, fused and passed through a transformer over 30
frames.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe, StageConfig
from training.models.networks.multimodal_transformer import MultimodalConfig

FRAME_AU_WEIGHT: Final = (1, 2, 1, 1, 1, 1, 1, 6, 6, 5, 1, 5)
SEQUENCE_AU_WEIGHT: Final = (1, 2, 1, 1, 1, 1, 1, 3, 3, 3, 1, 2)

PUBLISHED: Final = MethodRecipe(
    name="multimodal transformer",
    paper="M2",
    sentence="Fuses face and audio features over 30 frames by a transformer; tasks alternate.",
    preset="published",
    net=MultimodalConfig(),
    normalization="half",
    losses=(
        LossTerm("focal_sigmoid", "expression_logit", "expression"),
        LossTerm("bce", "frame_au_logit", "au", options={"positive_weight": FRAME_AU_WEIGHT}),
        LossTerm("shifted_bce", "au_logit", "au", options={"positive_weight": SEQUENCE_AU_WEIGHT}),
    ),
    sampler="alternate",
    targets="ignore",
    first_stage=StageConfig(
        OptimizerConfig("sgd", 1e-3, 5e-4, schedule="steps", milestones=(8, 10, 12)), 64, 15
    ),
    optimizer=OptimizerConfig("sgd", 1e-2, 5e-4),
    batch=8,
    epochs=10,
    databases=("bp4d",),
    patience=5,
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=MultimodalConfig(
        "small_resnet", "", size_px=64, embedding=64,
        audio_first=64, audio_width=96, audio_between=32, utterance_tail=False, audio_dropout=0.2,
        heads=4, head_width=16, hidden=256, causal=True, dropout=0.3,
    ),
    first_stage=StageConfig(
        OptimizerConfig("adam", 2e-3, schedule="cosine", max_gradient_norm=5.0), 64, 10
    ),
    optimizer=OptimizerConfig("adam", 2e-3, schedule="cosine", max_gradient_norm=5.0),
    epochs=10,
    patience=0,
)  # fmt: skip

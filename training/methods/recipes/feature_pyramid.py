"""M6, feature pyramid: fine and coarse maps together, trained on labels that single-task pyramids
completed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe, StageConfig
from training.methods.sampling_config import SamplingConfig
from training.models.networks.pyramid_multitask import PyramidConfig

PUBLISHED: Final = MethodRecipe(
    name="feature pyramid",
    paper="M6",
    sentence="Uses five resolutions; single-task models first pseudo-label missing labels.",
    preset="published",
    net=PyramidConfig(),
    normalization="imagenet",
    losses=(
        LossTerm("mse", "va", "va"),
        LossTerm("ce_smooth", "expression_logit", "expression"),
        LossTerm("bce", "au_logit", "au"),
    ),
    sampler="mixed",
    targets="offline_pseudo",
    optimizer=OptimizerConfig("adam", 1e-3),
    batch=128,
    epochs=20,
    databases=(
        "expw",
        "affectnet",
    ),
    first_stage=StageConfig(OptimizerConfig("sgd", 3e-4, 1e-4), batch=128, epochs=20, every=4),
    sampling=SamplingConfig(va_every=5),
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=PyramidConfig("small_resnet", size_px=96, width=64, frozen=False),
    optimizer=OptimizerConfig("adam", 1e-3, max_gradient_norm=5.0),
    batch=64,
    epochs=10,
    first_stage=StageConfig(
        OptimizerConfig("adam", 1e-3, max_gradient_norm=5.0), batch=64, epochs=10, every=2
    ),
    sampling=SamplingConfig(every=2),
)

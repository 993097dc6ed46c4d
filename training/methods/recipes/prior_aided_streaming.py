"""M1, Prior Aided Streaming Network: what a face shows beyond its identity, read in the order AU ->
EXPR -> VA.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe, PriorConfig, StageConfig
from training.models.networks.prior_aided_streaming import PriorAidedStreamingConfig

PUBLISHED: Final = MethodRecipe(
    name="prior-aided streaming",
    paper="M1",
    sentence="Subtracts identity; AUs inform expression, then valence and arousal.",
    preset="published",
    net=PriorAidedStreamingConfig(),
    normalization="unit",
    losses=(
        LossTerm("smooth_l1", "va", "va"),
        LossTerm("ccc", "va", "va"),
        LossTerm("ce_smooth", "expression_logit", "expression", options={"eps": 0.1}),
        LossTerm("multi_label_ce", "au_logit", "au"),
        LossTerm("pair_ce", "au_pair", "au", options={"eps": 0.1}),
    ),
    sampler="parallel_tasks",
    targets="ignore",
    optimizer=OptimizerConfig("sgd", 1e-3, 1e-4, schedule="restarts", floor=1e-5),
    batch=70,
    epochs=50,
    databases=(
        "bp4d",
        "dfew",
        "affectnet",
    ),
    prior=PriorConfig(),
    first_stage=StageConfig(OptimizerConfig("sgd", 2e-4, 5e-4), batch=30, epochs=10),
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=PriorAidedStreamingConfig("small_resnet", size_px=96, embedding=128),
    optimizer=OptimizerConfig("adam", 2e-3, 1e-4, schedule="cosine", max_gradient_norm=5.0),
    epochs=10,
    prior=PriorConfig(identity="people"),
    first_stage=StageConfig(
        OptimizerConfig("adam", 1e-3, schedule="cosine", max_gradient_norm=5.0), 24, 2
    ),
)

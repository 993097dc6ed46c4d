"""M7, improved pairwise deep architecture: intensities from pairs of frames, doubted where hidden,
mapped over time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.pairwise_intensity import PairwiseConfig

PUBLISHED: Final = MethodRecipe(
    name="pairwise intensity",
    paper="M7",
    sentence="Ranks frames of a person by AU intensity, relative to the face's history.",
    preset="published",
    net=PairwiseConfig(),
    normalization="imagenet",
    # Of the third stage and of direct classification; stages 1 and 2 compare pairs (pair_hinge,
    # pair_gauss).
    losses=(LossTerm("value_l1", "au_value", "au"),),
    sampler="pairs",
    targets="ignore",
    optimizer=OptimizerConfig("adam", 5e-5),
    batch=32,
    epochs=10,
    databases=(
        "bp4d",
        "disfa",
    ),
    sampling=SamplingConfig(repeats=5),
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=PairwiseConfig(
        "small_resnet",
        size_px=96,
        shared=True,
        causal=True,
        hidden=64,
        hidden_layers=1,
        dropout=0.2,
    ),
    optimizer=OptimizerConfig("adam", 1e-3, max_gradient_norm=5.0),
    sampling=SamplingConfig(pairs=800),
)

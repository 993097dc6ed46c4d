"""M7, improved pairwise deep architecture: intensities from pairs of frames, doubted where hidden,
mapped over time.
"""

from __future__ import annotations

from training.engine.optimizer import OptimizerConfig
from training.engine.recipe import select_preset
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.models.networks.pairwise_intensity import PairwiseConfig


def recipe(preset: str = "published") -> MethodRecipe:
    compact = PairwiseConfig(
        "small_resnet",
        size_px=96,
        shared=True,
        causal=True,
        hidden=64,
        hidden_layers=1,
        dropout=0.2,
    )
    return MethodRecipe(
        name="pairwise intensity",
        paper="M7",
        sentence="Ranks frames of a person by AU intensity, relative to the face's history.",
        preset=preset,
        net=select_preset(preset, {"published": PairwiseConfig(), "compact": compact}),
        normalization="imagenet",
        # Of the third stage and of direct classification; stages 1 and 2 compare pairs (pair_hinge,
        # pair_gauss).
        losses=(LossTerm("value_l1", "au_value", "au"),),
        sampler="pairs",
        targets="ignore",
        optimizer=OptimizerConfig(
            "adam", select_preset(preset, {"published": 5e-5, "compact": 1e-3})
        ),
        batch=32,
        epochs=10,
    )

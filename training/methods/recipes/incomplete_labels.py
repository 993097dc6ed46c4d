"""M3, incomplete labels: each epoch passes frames with one task's label, the other's, then those
with both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.models.networks.incomplete_labels import IncompleteLabelsConfig

PUBLISHED: Final = MethodRecipe(
    name="incomplete labels",
    paper="M3",
    sentence="Trains one trunk in phases: frames labeled for expression, AUs, or both.",
    preset="published",
    net=IncompleteLabelsConfig(),
    normalization="imagenet",
    losses=(
        LossTerm("focal_softmax", "expression_logit", "expression"),
        LossTerm("bce", "au_logit", "au"),
    ),
    sampler="phases",
    targets="ignore",
    optimizer=OptimizerConfig("adam", 1e-3, schedule="cosine", floor=1e-4),
    batch=256,
    epochs=10,
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=IncompleteLabelsConfig("small_resnet", size_px=96, hidden=128),
    optimizer=replace(PUBLISHED.optimizer, max_gradient_norm=5.0),
    batch=64,
)

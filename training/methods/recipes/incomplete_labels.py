"""M3, incomplete labels: each epoch passes frames with one task's label, the other's, then those
with both.
"""

from __future__ import annotations

from training.methods.optimizer import OptimizerConfig
from training.methods.recipe import Recipe, pick
from training.methods.total_loss import LossTerm
from training.models.networks.incomplete_labels import IncompleteLabelsConfig


def recipe(preset: str = "published") -> Recipe:
    return Recipe(
        name="incomplete labels",
        paper="M3",
        sentence="Trains one trunk in phases: frames labeled for expression, for AUs, and for both.",
        preset=preset,
        net=pick(preset, {
            "published": IncompleteLabelsConfig(),
            "compact": IncompleteLabelsConfig("small_resnet", size_px=96, hidden=128),
        }),
        normalization="imagenet",
        losses=(LossTerm("focal_softmax", "expression_logit", "expression"), LossTerm("bce", "au_logit", "au")),
        sampler="phases",
        targets="ignore",
        optimizer=OptimizerConfig("adam", 1e-3, schedule="cosine", floor=1e-4),
        batch=pick(preset, {"published": 256, "compact": 64}),
        epochs=10,
    )  # fmt: skip

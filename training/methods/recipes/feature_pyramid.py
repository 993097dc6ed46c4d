"""M6, feature pyramid: fine and coarse maps together, trained on labels that single-task pyramids
completed.
"""

from __future__ import annotations

from training.methods.optimizer import OptimizerConfig
from training.methods.recipe import Recipe, pick
from training.methods.sampling_config import SamplingConfig
from training.methods.total_loss import LossTerm
from training.models.networks.pyramid_multitask import PyramidConfig


def recipe(preset: str = "published") -> Recipe:
    return Recipe(
        name="feature pyramid",
        paper="M6",
        sentence="Reads five resolutions at once; single-task models first write the labels that frames lack.",
        preset=preset,
        net=pick(preset, {
            "published": PyramidConfig(),
            "compact": PyramidConfig("small_resnet", size_px=96, width=64, frozen=False),
        }),
        normalization="imagenet",
        losses=(
            LossTerm("mse", "va", "va"),
            LossTerm("ce_smooth", "expression_logit", "expression"),
            LossTerm("bce", "au_logit", "au"),
        ),
        sampler="mixed",
        targets="offline_pseudo",
        optimizer=OptimizerConfig("adam", 1e-3),
        batch=pick(preset, {"published": 128, "compact": 64}),
        epochs=pick(preset, {"published": 20, "compact": 10}),
        sampling=SamplingConfig(every=pick(preset, {"published": 1, "compact": 2})),
    )  # fmt: skip

"""M6, feature pyramid: fine and coarse maps together, trained on labels that single-task pyramids
completed.
"""

from __future__ import annotations

from training.engine.optimizer import OptimizerConfig
from training.engine.recipe import select_preset
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.pyramid_multitask import PyramidConfig


def recipe(preset: str = "published") -> MethodRecipe:
    return MethodRecipe(
        name="feature pyramid",
        paper="M6",
        sentence="Uses five resolutions; single-task models first pseudo-label missing labels.",
        preset=preset,
        net=select_preset(
            preset,
            {
                "published": PyramidConfig(),
                "compact": PyramidConfig("small_resnet", size_px=96, width=64, frozen=False),
            },
        ),
        normalization="imagenet",
        losses=(
            LossTerm("mse", "va", "va"),
            LossTerm("ce_smooth", "expression_logit", "expression"),
            LossTerm("bce", "au_logit", "au"),
        ),
        sampler="mixed",
        targets="offline_pseudo",
        optimizer=OptimizerConfig("adam", 1e-3),
        batch=select_preset(preset, {"published": 128, "compact": 64}),
        epochs=select_preset(preset, {"published": 20, "compact": 10}),
        sampling=SamplingConfig(every=select_preset(preset, {"published": 1, "compact": 2})),
    )

"""Recipe of the model in the wheel: one small dense trunk with all heads."""

from __future__ import annotations

from training.default_model.recipe import DefaultModelRecipe
from training.models.affect_net import NetConfig
from training.models.trunk import Stage, TrunkConfig


def recipe() -> DefaultModelRecipe:
    # ONNX Runtime runs dense 3x3 blocks faster per multiply-accumulate than depthwise ones.
    trunk = TrunkConfig(
        16, (Stage("residual", 32, 1), Stage("residual", 64, 2), Stage("residual", 128, 3))
    )
    return DefaultModelRecipe(name="default", net=NetConfig(trunk))

"""The model of the wheel: one small dense trunk with all heads."""

from __future__ import annotations

from training.default_model.recipe import Recipe
from training.models.affect_net import NetConfig
from training.models.trunk import Stage, TrunkConfig


def recipe() -> Recipe:
    # Dense 3x3 blocks: per multiply-accumulate ONNX Runtime runs them faster here than depthwise
    # ones.
    trunk = TrunkConfig(
        16, (Stage("residual", 32, 1), Stage("residual", 64, 2), Stage("residual", 128, 3))
    )
    return Recipe(name="default", net=NetConfig(trunk))

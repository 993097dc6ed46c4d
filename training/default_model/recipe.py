"""Recipe of the default model: everything that decides a training run, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.augmentation.crops import CropJitter
from training.engine.optimizer import OptimizerConfig
from training.engine.recipe import Recipe
from training.models.affect_net import NetConfig
from training.models.trunk import Stage, TrunkConfig


@dataclass(frozen=True, slots=True)
class Schedule:
    """Length of a run and its crops: the first `small_until` (fraction) of the steps train on crops
    of `small_px`.
    """

    steps: int = 7000
    ema_decay: float = 0.998
    small_px: int = 80
    small_until: float = 0.8
    save_every: int = 250
    batch_workers: int = 0  # processes that prefetch batches; 0 builds them in the training process
    # of the trunk while training; faster on processors with such instructions (avx512_bf16, AMX)
    bfloat16: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class SourceMix:
    """Number of faces of each source in a batch."""

    ferplus: int = 76
    webfaces: int = 14
    synthetic_images: int = 28
    synthetic_videos: int = 34  # frames of RenderWild's training videos
    no_face: int = 8
    # rendered rig that is trained on: facs, arkit, or both; the other one then tests the transfer
    rig: str = "both"
    # how far rare expressions are oversampled: 0 not at all, 1 to equal frequency
    balance_power: float = 0.3
    au_balance_power: float = 0.4  # the same for synthetic faces by their rarest action unit
    mixup_fraction: float = 0.3  # of the faces with an expression


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weight of each task's loss in the sum."""

    au: float = 1.0
    expression: float = 1.0
    va: float = 0.5
    landmarks: float = 10.0
    pose: float = 0.4
    face: float = 0.4
    quality: float = 0.15


def _optimizer() -> OptimizerConfig:
    return OptimizerConfig(
        "adamw",
        rate=2.5e-3,
        weight_decay=0.05,
        schedule="warmup_cosine",
        warmup_steps=300,
        max_gradient_norm=5.0,
    )


@dataclass(frozen=True, slots=True)
class DefaultModelRecipe(Recipe):
    """Network, data, losses and schedule; an epoch is the whole run of `schedule.steps`."""

    optimizer: OptimizerConfig = field(default_factory=_optimizer)
    mix: SourceMix = field(default_factory=SourceMix)
    losses: LossWeights = field(default_factory=LossWeights)
    jitter: CropJitter = field(default_factory=CropJitter)
    schedule: Schedule = field(default_factory=Schedule)


def net_from_json(raw: dict[str, Any]) -> NetConfig:
    """The network's configuration from a run's recipe."""
    trunk = raw["trunk"]
    stages = tuple(Stage(**stage) for stage in trunk["stages"])
    rest = {name: value for name, value in raw.items() if name != "trunk"}
    return NetConfig(trunk=TrunkConfig(stem=trunk["stem"], stages=stages), **rest)

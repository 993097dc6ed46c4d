"""A recipe: everything that decides a training run, as one frozen value; options change fields by
their dotted names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from training.augmentation.crops import CropJitter
from training.models.affect_net import NetConfig
from training.models.trunk import Stage, TrunkConfig


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast. Steps below `small_until` (a share) train on crops of `small_px`."""

    steps: int = 7000
    warmup_steps: int = 300
    rate: float = 2.5e-3
    weight_decay: float = 0.05
    ema_decay: float = 0.998
    small_px: int = 80
    small_until: float = 0.8
    save_every: int = 250
    batch_workers: int = 0  # processes that make batches ahead; 0 makes them in between
    # of the trunk while training; pays where the processor has such instructions (avx512_bf16, AMX)
    bfloat16: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Mix:
    """Faces of each source in a batch."""

    ferplus: int = 76
    webfaces: int = 14
    renders: int = 28
    wild: int = 34  # frames of RenderWild's training videos
    no_face: int = 8
    # which rendered rig is learned: facs, arkit, or both; the other then tells how far AUs transfer
    rig: str = "both"
    balance_power: float = (
        0.3  # how far rare expressions are lifted, 0 not at all, 1 to equal shares
    )
    rare_unit_power: float = 0.4  # the same for rendered faces by their rarest action unit
    blend_share: float = 0.3  # of the faces with an expression, blended in pairs


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Share of each task in the sum."""

    au: float = 1.0
    expression: float = 1.0
    va: float = 0.5
    landmarks: float = 10.0
    pose: float = 0.4
    face: float = 0.4
    quality: float = 0.15


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run."""

    name: str
    net: NetConfig
    mix: Mix = field(default_factory=Mix)
    losses: LossWeights = field(default_factory=LossWeights)
    jitter: CropJitter = field(default_factory=CropJitter)
    schedule: Schedule = field(default_factory=Schedule)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def net_from_json(raw: dict[str, Any]) -> NetConfig:
    """The network's configuration out of a run's recipe."""
    trunk = raw["trunk"]
    stages = tuple(Stage(**stage) for stage in trunk["stages"])
    rest = {name: value for name, value in raw.items() if name != "trunk"}
    return NetConfig(trunk=TrunkConfig(stem=trunk["stem"], stages=stages), **rest)

"""A method's recipe: the network, what it is fed, and how it is trained, as one frozen value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeVar

from training.methods.normalization import NORMALIZATIONS
from training.methods.optimizer import OptimizerConfig
from training.methods.sampling_config import SamplingConfig
from training.methods.total_loss import LossTerm

PRESETS: Final = ("published", "compact")
SAMPLERS: Final = ("mixed", "parallel_tasks", "alternate", "phases", "windows", "pairs")
"""Which samples enter a step: all together, a batch for each task, tasks in turn, groups of one
epoch by the labels that frames carry, sequences, pairs of one video's frames.
"""
TARGETS: Final = ("ignore", "offline_pseudo", "frozen_teacher", "ema_teacher")
"""What a missing label becomes: nothing, what single-task models wrote before, what a fixed or a
moving teacher says.
"""

MEANS: Final = ("missing", "batch")
"""Over the samples that lack the label (published), where one of them outweighs all labeled ones;
or over the whole batch, where each counts as much as a labeled one.
"""

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One of the eight methods at one size."""

    name: str
    paper: str  # M1 ... M8
    sentence: str
    preset: str
    net: Any  # a configuration that `build_network` knows
    normalization: str
    losses: tuple[LossTerm, ...]
    sampler: str
    targets: str
    optimizer: OptimizerConfig
    batch: int
    epochs: int
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    teacher_mean: str = "missing"  # over which samples a moving teacher's losses are means: MEANS
    # file that the image trunks begin with: public weights, or what `training pretrain` made
    trunk_weights: str = ""

    def __post_init__(self) -> None:
        known = {
            "normalization": tuple(NORMALIZATIONS),
            "sampler": SAMPLERS,
            "targets": TARGETS,
            "preset": PRESETS,
            "teacher_mean": MEANS,
        }
        for name, choices in known.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        for name, value in (
            ("batch", self.batch),
            ("sampling.windows", self.sampling.windows or self.batch),
        ):
            if value < 2:
                raise ValueError(
                    f"{name} must be at least 2, since batch statistics need two samples, got {value}"
                )
        if self.sampling.unlabeled and not (
            self.sampler == "mixed" and self.targets.endswith("_teacher")
        ):
            raise ValueError(
                "sampling.unlabeled takes samples for a teacher to answer: it wants sampler=mixed and targets=ema_teacher or "
                f"frozen_teacher, got {self.sampler} and {self.targets}"
            )
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def pick(preset: str, choices: Mapping[str, Choice]) -> Choice:
    """The preset's value; an unknown preset lists what there is."""
    if preset not in choices:
        raise ValueError(f"preset must be one of {sorted(choices)}, got {preset!r}")
    return choices[preset]

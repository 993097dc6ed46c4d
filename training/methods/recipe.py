"""Recipe of a method: the network, its inputs, and how it is trained, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from training.engine.recipe import Recipe
from training.losses.total_loss import LossTerm
from training.methods.normalization import NORMALIZATIONS
from training.methods.sampling_config import SamplingConfig

PRESETS: Final = ("published", "compact")
SAMPLERS: Final = ("mixed", "parallel_tasks", "alternate", "phases", "windows", "pairs")
"""Samples of a step: all together, a batch for each task, tasks in turn, groups of one epoch by the
labels that frames have, sequences, pairs of one video's frames.
"""
TARGETS: Final = ("ignore", "offline_pseudo", "frozen_teacher", "ema_teacher")
"""Replacement of a missing label: none, predictions of single-task models written beforehand,
predictions of a frozen teacher or of the EMA model.
"""

TEACHER_MEANS: Final = ("missing", "batch")
"""Over the samples that lack the label (published), where one of them outweighs all labeled ones;
or over the whole batch, where each counts as much as a labeled one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRecipe(Recipe):
    """One of the eight methods at one size; `net` is a configuration known to `build_network`."""

    paper: str  # M1 ... M8
    sentence: str
    normalization: str
    losses: tuple[LossTerm, ...]
    sampler: str
    targets: str
    batch: int
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    teacher_mean: str = "missing"  # samples that the EMA teacher's losses are means over
    trunk_weights: str = ""  # file of initial image trunks: public, or written by `pretrain`

    @property
    def title(self) -> str:
        return f"{self.paper} {self.preset}"

    def __post_init__(self) -> None:
        choices_by_name = {
            "normalization": tuple(NORMALIZATIONS),
            "sampler": SAMPLERS,
            "targets": TARGETS,
            "preset": PRESETS,
            "teacher_mean": TEACHER_MEANS,
        }
        for name, choices in choices_by_name.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        for name, value in (
            ("batch", self.batch),
            ("sampling.windows", self.sampling.windows or self.batch),
        ):
            if value < 2:
                raise ValueError(
                    f"{name} must be at least 2, since batch statistics need two samples, "
                    f"got {value}"
                )
        if self.sampling.unlabeled and not (
            self.sampler == "mixed" and self.targets.endswith("_teacher")
        ):
            raise ValueError(
                "sampling.unlabeled needs sampler=mixed and targets=ema_teacher or frozen_teacher, "
                f"got {self.sampler} and {self.targets}"
            )
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

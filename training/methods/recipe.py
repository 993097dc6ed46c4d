"""Recipe of a method: the network, its inputs, and how it is trained, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from training.engine.optimizer import OptimizerConfig
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


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Optimizer, batch and epochs of a stage; `every`: one in so many of the frames an epoch."""

    optimizer: OptimizerConfig
    batch: int
    epochs: int
    every: int = 1


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """What M1's branches know before they learn the tasks.

    identity: "pretrained" takes the identity branch from `trunk_weights` and never trains it;
    "people" first trains it to tell the training table's groups apart, for data sets that name
    people.
    triplets: "labels" draws triplets of different people from the training labels; "none" leaves
    the stage out; else a file of FEC, faceexp-comparison-data-train-public.csv.
    own_labels: the trained network labels frames that lack expressions or AUs where it is sure, and
    is trained once more on them. The paper names such a stage for its last version without its
    procedure; the confidences are ours.
    """

    identity: str = "pretrained"
    triplets: str = "labels"
    own_labels: bool = False

    def __post_init__(self) -> None:
        if self.identity not in ("pretrained", "people"):
            raise ValueError(f"prior.identity must be pretrained or people, got {self.identity!r}")


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
    # Initial image trunks, public or written by `pretrain`: a file for all that it fits, or
    # NAME=FILE,NAME=FILE with the names of the network's trunks.
    trunk_weights: str = ""
    init_from: str = ""  # folder of a run of the same network, whose weights stages start from
    patience: int = 0  # epochs without a better validation score before a stage stops; 0: none
    first_stage: StageConfig | None = None  # frames of M2, triplets of M1, single tasks of M6
    prior: PriorConfig | None = None  # of M1
    databases: tuple[str, ...] = ()  # kinds of data sets of the paper beside Aff-Wild2

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
        if self.patience < 0:
            raise ValueError(f"patience must be at least 0, got {self.patience}")
        if self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}")

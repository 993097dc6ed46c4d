"""Ablations: for each method a scenario, the full method, and variants without a component.

Variants of an ablation differ in that component alone: they have the same trunk, crops and number
of steps of the evaluated network. Steps of earlier stages (identity branch, single-task models,
teacher) come on top; the CPU seconds in the records include them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import RECIPES, find_recipe

FULL: Final = "full"
BCE_LOSS: Final = (LossTerm("bce", "au_logit", "au"),)
BASE_OPTIONS: Final = ("net.size_px=64",)
LOW_FPS_OPTIONS: Final = {
    "M5": ("net.size_px=64", "net.spacing=1"),
    "M7": ("net.size_px=64", "net.causal=false"),
    "M8": ("net.size_px=64", "net.window=24", "sampling.stride=8", "sampling.drop_gaps=false"),
}
"""Options for videos of three frames a second."""


STEPS: Final = {
    "M1": 150,
    "M2": 280,
    "M3": 520,
    "M4": 200,
    "M5": 400,
    "M6": 200,
    "M7": 400,
    "M8": 90,
}
"""Steps of the evaluated network at scale 1. The full method with all its stages takes one to six
minutes of one core.
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """Variant of a recipe: command-line options, and changes that have no option.

    fully_labeled_only: train only on frames with both AU and expression labels.
    single_task: train one network for each task instead of one for all tasks.
    """

    name: str
    options: tuple[str, ...] = ()
    losses: tuple[LossTerm, ...] | None = None
    fully_labeled_only: bool = False
    single_task: bool = False


@dataclass(frozen=True, slots=True)
class Ablation:
    """Method on a scenario, with its variants, of which the first is the full method.

    The score is the mean of the ABAW2 scores of `tasks`.
    """

    method: str
    scenario: str
    tasks: tuple[str, ...]
    steps: int  # of the evaluated network at scale 1
    variants: tuple[Variant, ...]
    options: tuple[str, ...] = BASE_OPTIONS  # common to all variants

    @property
    def name(self) -> str:
        return f"{self.method}-{self.scenario}"


ABLATIONS: Final[tuple[Ablation, ...]] = (
    Ablation("M1", "few_identities", ("AU", "EXPR", "VA"), STEPS["M1"], (
        Variant(FULL),
        Variant("no identity subtraction", ("net.subtract_identity=false",)),
        Variant("parallel heads", ("net.order=parallel",)),
    )),
    Ablation("M2", "noisy_images", ("AU",), STEPS["M2"], (
        Variant(FULL),
        Variant("vision only", ("net.audio=false",)),
        Variant("no transformer", ("net.layers=0",)),
        Variant("tasks alternate by epoch", ("sampling.turn=epoch",)),
    )),
    Ablation("M3", "partial_labels", ("AU", "EXPR"), STEPS["M3"], (
        Variant(FULL),
        Variant("fully labeled only", fully_labeled_only=True),
        Variant("no curriculum", ("sampler=mixed",)),
    )),
    Ablation("M4", "occluded_expressions", ("AU",), STEPS["M4"], (
        Variant(FULL),
        Variant("no graph", ("net.graph=false",)),
        Variant("no attention", ("net.attention=false",)),
    )),
    Ablation("M5", "ten_percent_labels", ("AU", "EXPR", "VA"), STEPS["M5"], (
        Variant(FULL),
        Variant("supervised only", ("sampling.unlabeled=0", "targets=ignore")),
    ), (*LOW_FPS_OPTIONS["M5"], "sampling.unlabeled=28")),
    Ablation("M5", "label_noise", ("EXPR",), STEPS["M5"], (
        Variant(FULL),
        Variant("no self-cure", ("net.cure=false",)),
    ), LOW_FPS_OPTIONS["M5"]),
    Ablation("M6", "mixed_resolutions", ("AU", "EXPR", "VA"), STEPS["M6"], (
        Variant(FULL),
        Variant("last level only", ("net.levels=last",)),
        Variant("no pseudo labels", ("targets=ignore",)),
    )),
    Ablation("M7", "atypical_neutral_faces", ("AU",), STEPS["M7"], (
        Variant(FULL),
        Variant("direct classification", ("net.mapping=false", "sampler=mixed"), losses=BCE_LOSS),
    ), LOW_FPS_OPTIONS["M7"]),
    Ablation("M7", "occluded_segments", ("AU",), STEPS["M7"], (
        Variant(FULL),
        Variant("no uncertainty", ("net.uncertainty=false",)),
    ), LOW_FPS_OPTIONS["M7"]),
    Ablation("M8", "multi_database", ("EXPR", "VA"), STEPS["M8"], (
        Variant(FULL),
        Variant("single task", single_task=True),
        Variant("no distillation", ("targets=ignore",)),
        Variant("no GRU", ("net.recurrence=none",)),
    ), LOW_FPS_OPTIONS["M8"]),
)  # fmt: skip
"""Ablations of the eight methods."""

_LEADERBOARD_OPTIONS: Final = {"M5": LOW_FPS_OPTIONS["M5"]}

LEADERBOARD: Final[tuple[Ablation, ...]] = tuple(
    Ablation(
        f"M{k}",
        "original_annotations",
        ("AU", "EXPR", "VA"),
        STEPS[f"M{k}"],
        (Variant(FULL),),
        _LEADERBOARD_OPTIONS.get(f"M{k}", BASE_OPTIONS),
    )
    for k in range(1, len(RECIPES) + 1)
)
"""All eight compact methods on the original annotations; scores of the tasks that a method has."""


@dataclass(frozen=True, slots=True)
class Run:
    """One variant of an ablation with one seed."""

    ablation: Ablation
    variant: Variant
    seed: int

    @property
    def name(self) -> str:
        """Name of the record and folder."""
        return f"{self.ablation.name}-{slug(self.variant.name)}-s{self.seed}"

    def recipe(self) -> MethodRecipe:
        recipe = find_recipe(
            self.ablation.method, "compact", [*self.ablation.options, *self.variant.options]
        )
        return (
            recipe if self.variant.losses is None else replace(recipe, losses=self.variant.losses)
        )


def slug(text: str) -> str:
    """Lowercase text with other characters than letters and digits replaced by underscores."""
    return "_".join("".join(c if c.isalnum() else " " for c in text).split()).lower()


def all_runs(seeds: list[int], methods: list[str] | None = None) -> list[Run]:
    """All runs, ordered by seed; within a seed the ablations, then the leaderboard."""
    known = {ablation.method for ablation in ABLATIONS}
    if unknown := sorted(set(methods or []) - known):
        raise ValueError(f"expected methods {', '.join(sorted(known))}, got {', '.join(unknown)}")
    return [
        Run(ablation, variant, seed)
        for seed in seeds
        for ablation in (*ABLATIONS, *LEADERBOARD)
        for variant in ablation.variants
        if not methods or ablation.method in methods
    ]


def find_run(name: str, seeds: range = range(1, 100)) -> Run:
    """Run with this name."""
    for run in all_runs(list(seeds)):
        if run.name == name:
            return run
    raise ValueError(f"expected a run name such as {all_runs([1])[0].name}, got {name!r}")

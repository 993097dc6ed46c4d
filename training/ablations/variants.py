"""What is tried: for each method its setting, the full method, and the same without its distinctive
part.

Arms of a trial differ in that part alone: same trunk, same crops, same steps of the network that
is judged. What a method trains beforehand (an identity branch, single-task models, a teacher)
comes on top; the seconds in the records tell how much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import RECIPES, find_recipe

FULL: Final = "full"
DIRECT: Final = (LossTerm("bce", "au_logit", "au"),)
SMALL: Final = ("net.size_px=64",)
THREE_A_SECOND: Final = {
    "M5": ("net.size_px=64", "net.spacing=1"),
    "M7": ("net.size_px=64", "net.causal=false"),
    "M8": ("net.size_px=64", "net.window=24", "sampling.stride=8", "sampling.drop_gaps=false"),
}
"""Options for videos of three frames a second, of which ten seconds are thirty frames."""


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
"""Of the judged network at scale 1: one to six minutes of one core for the full method, with all
that it trains on its way.
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant of a recipe: options as on the command line, and what cannot be said by them.

    `rows`: "both" keeps training frames that are labeled for both of AU and EXPR alone.
    `one_by_one`: a network for each task instead of one for all.
    """

    name: str
    options: tuple[str, ...] = ()
    losses: tuple[LossTerm, ...] | None = None
    rows: str = ""
    one_by_one: bool = False


@dataclass(frozen=True, slots=True)
class Ablation:
    """A method on a setting; its score is the mean of the ABAW2 scores of `judged`. The first arm
    is the full method.
    """

    method: str
    setting: str
    judged: tuple[str, ...]
    steps: int  # of the judged network at scale 1
    arms: tuple[Variant, ...]
    options: tuple[str, ...] = SMALL  # of all arms

    @property
    def name(self) -> str:
        return f"{self.method}-{self.setting}"


TRIALS: Final[tuple[Ablation, ...]] = (
    Ablation("M1", "few_identities", ("AU", "EXPR", "VA"), STEPS["M1"], (
        Variant(FULL),
        Variant("no identity subtraction", ("net.subtract_identity=false",)),
        Variant("parallel heads", ("net.order=parallel",)),
    )),
    Ablation("M2", "noisy_images", ("AU",), STEPS["M2"], (
        Variant(FULL),
        Variant("vision only", ("net.audio=false",)),
        Variant("no transformer", ("net.layers=0",)),
        Variant("tasks by epoch, not by batch", ("sampling.turn=epoch",)),
    )),
    Ablation("M3", "one_label_each", ("AU", "EXPR"), STEPS["M3"], (
        Variant(FULL),
        Variant("doubly labeled frames alone", rows="both"),
        Variant("no phases, all frames mixed", ("sampler=mixed",)),
    )),
    Ablation("M4", "together_and_hidden", ("AU",), STEPS["M4"], (
        Variant(FULL),
        Variant("no graph", ("net.graph=false",)),
        Variant("no attention (whole map)", ("net.attention=false",)),
    )),
    Ablation("M5", "tenth_of_labels", ("AU", "EXPR", "VA"), STEPS["M5"], (
        Variant(FULL),
        Variant("supervised only", ("sampling.unlabeled=0", "targets=ignore")),
    ), (*THREE_A_SECOND["M5"], "sampling.unlabeled=28")),
    Ablation("M5", "wrong_labels", ("EXPR",), STEPS["M5"], (
        Variant(FULL),
        Variant("no self-cure", ("net.cure=false",)),
    ), THREE_A_SECOND["M5"]),
    Ablation("M6", "mixed_resolutions", ("AU", "EXPR", "VA"), STEPS["M6"], (
        Variant(FULL),
        Variant("last level only", ("net.levels=last",)),
        Variant("no pseudo labels", ("targets=ignore",)),
    )),
    Ablation("M7", "resting_faces", ("AU",), STEPS["M7"], (
        Variant(FULL),
        Variant("direct classification", ("net.mapping=false", "sampler=mixed"), losses=DIRECT),
    ), THREE_A_SECOND["M7"]),
    Ablation("M7", "hidden_stretches", ("AU",), STEPS["M7"], (
        Variant(FULL),
        Variant("no uncertainty", ("net.uncertainty=false",)),
    ), THREE_A_SECOND["M7"]),
    Ablation("M8", "three_sources", ("EXPR", "VA"), STEPS["M8"], (
        Variant(FULL),
        Variant("single task", one_by_one=True),
        Variant("no distillation", ("targets=ignore",)),
        Variant("no GRU", ("net.recurrence=none",)),
    ), THREE_A_SECOND["M8"]),
)  # fmt: skip
"""The comparison of the eight methods with themselves."""

_BOARD_OPTIONS: Final = {"M5": THREE_A_SECOND["M5"]}

BOARD: Final[tuple[Ablation, ...]] = tuple(
    Ablation(
        f"M{k}",
        "as_annotated",
        ("AU", "EXPR", "VA"),
        STEPS[f"M{k}"],
        (Variant(FULL),),
        _BOARD_OPTIONS.get(f"M{k}", SMALL),
    )
    for k in range(1, len(RECIPES) + 1)
)
"""All eight compact methods as they are, on everything; scores of the tasks that a method has."""


@dataclass(frozen=True, slots=True)
class Run:
    """One arm of a trial with one seed."""

    trial: Ablation
    arm: Variant
    seed: int

    @property
    def name(self) -> str:
        """Of its record and folder."""
        return f"{self.trial.name}-{slug(self.arm.name)}-s{self.seed}"

    def recipe(self) -> MethodRecipe:
        recipe = find_recipe(self.trial.method, "compact", [*self.trial.options, *self.arm.options])
        return recipe if self.arm.losses is None else replace(recipe, losses=self.arm.losses)


def slug(text: str) -> str:
    """Letters, digits and underscores."""
    return "_".join("".join(c if c.isalnum() else " " for c in text).split()).lower()


def all_runs(seeds: list[int], methods: list[str] | None = None) -> list[Run]:
    """Every run, all of the first seed before those of the second; within a seed the comparison,
    then the board.
    """
    known = {trial.method for trial in TRIALS}
    if unknown := sorted(set(methods or []) - known):
        raise ValueError(f"methods are {', '.join(sorted(known))}, got {', '.join(unknown)}")
    return [
        Run(trial, arm, seed)
        for seed in seeds
        for trial in (*TRIALS, *BOARD)
        for arm in trial.arms
        if not methods or trial.method in methods
    ]


def find_run(name: str, seeds: range = range(1, 100)) -> Run:
    """A run by its name."""
    for run in all_runs(list(seeds)):
        if run.name == name:
            return run
    raise ValueError(f"unknown run {name!r}; names are like {all_runs([1])[0].name}")

"""Checks of a recipe's options that each have the right type but are impossible or do not fit
together, before any training.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, Final

from faceaffect.labels import EXPRESSION_NAMES
from training.methods.recipe import MethodRecipe
from training.metrics import CHALLENGE_EXPRESSIONS

_MIN_INTEGERS: Final = {"layers": 0, "hidden_layers": 0}  # every other integer is at least one
_TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "PyramidConfig": ("ignore", "offline_pseudo", "ema_teacher"),
    "PairwiseConfig": ("ignore",),
    "MultiDatabaseConfig": ("ignore", "frozen_teacher"),
}
_DEFAULT_TARGETS: Final = ("ignore", "ema_teacher")


def validate_recipe(recipe: MethodRecipe) -> MethodRecipe:
    """The recipe itself; ValueError names an impossible option and what is possible."""
    _check_numbers(recipe.net)
    expressions = getattr(recipe.net, "expressions", len(EXPRESSION_NAMES))
    if expressions not in (len(EXPRESSION_NAMES), len(CHALLENGE_EXPRESSIONS)):
        raise ValueError(
            f"net.expressions must be {len(EXPRESSION_NAMES)}, or {len(CHALLENGE_EXPRESSIONS)} "
            f"with the class Other of ABAW3 and later, got {expressions}"
        )
    has_mapping = getattr(recipe.net, "mapping", None)
    if recipe.sampler == "pairs" and has_mapping is None:
        raise ValueError(
            f"sampler=pairs is for M7, whose network orders frames; choose another for "
            f"{recipe.paper}"
        )
    if recipe.sampler != "pairs" and has_mapping:
        raise ValueError(
            f"a mapping of intensities needs sampler=pairs, got {recipe.sampler}; "
            "net.mapping=false classifies directly"
        )
    targets = _TARGETS.get(type(recipe.net).__name__, _DEFAULT_TARGETS)
    if recipe.targets not in targets:
        raise ValueError(
            f"targets of {recipe.paper} must be one of {', '.join(targets)}, got {recipe.targets}"
        )
    return recipe


def _check_numbers(net: Any) -> None:
    for field in fields(net):
        value = getattr(net, field.name)
        if isinstance(value, bool):
            continue
        minimum = _MIN_INTEGERS.get(field.name, 1)
        if isinstance(value, int) and value < minimum:
            raise ValueError(f"net.{field.name} must be at least {minimum}, got {value}")
        if isinstance(value, float) and not (math.isfinite(value) and 0 <= value < 1):
            raise ValueError(
                f"net.{field.name} is a fraction and must be from 0 to below 1, got {value:g}"
            )

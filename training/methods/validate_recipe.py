"""Options of a recipe that are each of the right type but impossible, or do not go together: told
before any training.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, Final

from training.methods.recipe import Recipe

_LEAST: Final = {
    "layers": 0,
    "hidden_layers": 0,
}  # every other whole number of a network is at least one
_TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "PyramidConfig": ("ignore", "offline_pseudo", "ema_teacher"),
    "PairwiseConfig": ("ignore",),
    "MultiDatabaseConfig": ("ignore", "frozen_teacher"),
}
_TARGETS_ELSE: Final = ("ignore", "ema_teacher")


def check_recipe(recipe: Recipe) -> Recipe:
    """The recipe itself; ValueError says which option cannot be and what can."""
    _check_numbers(recipe.net)
    has_mapping = getattr(recipe.net, "mapping", None)
    if recipe.sampler == "pairs" and has_mapping is None:
        raise ValueError(
            f"sampler=pairs is of M7, whose network orders frames; {recipe.paper} takes any other"
        )
    if recipe.sampler != "pairs" and has_mapping:
        raise ValueError(
            f"a mapping of intensities learns from sampler=pairs, got {recipe.sampler}; net.mapping=false classifies directly"
        )
    targets = _TARGETS.get(type(recipe.net).__name__, _TARGETS_ELSE)
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
        least = _LEAST.get(field.name, 1)
        if isinstance(value, int) and value < least:
            raise ValueError(f"net.{field.name} must be at least {least}, got {value}")
        if isinstance(value, float) and not (math.isfinite(value) and 0 <= value < 1):
            raise ValueError(
                f"net.{field.name} is a share and must be from 0 to below 1, got {value:g}"
            )

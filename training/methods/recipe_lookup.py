"""The eight recipes by name or paper id."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

from training.engine.recipe_overrides import apply_overrides
from training.methods.recipe import PRESETS, MethodRecipe
from training.methods.validate_recipe import validate_recipe

RECIPES: Final = (
    "prior_aided_streaming",
    "multimodal_transformer",
    "incomplete_labels",
    "attention_graph",
    "mean_teacher",
    "feature_pyramid",
    "pairwise_intensity",
    "multi_database",
)
"""Modules of `training.methods.recipes`, M1 to M8."""


def find_recipe(
    name: str, preset: str = "published", overrides: Sequence[str] = ()
) -> MethodRecipe:
    """A recipe by its name or by M1 to M8, with `a.b=value` overrides applied."""
    names_by_paper = {f"M{i}": each for i, each in enumerate(RECIPES, start=1)}
    module = names_by_paper.get(name.upper(), name)
    if module not in RECIPES:
        known = ", ".join(f"{each} ({paper})" for paper, each in names_by_paper.items())
        raise ValueError(f"unknown recipe {name!r}, expected one of {known}")
    if preset not in PRESETS:
        raise ValueError(f"preset must be one of {sorted(PRESETS)}, got {preset!r}")
    recipe = getattr(importlib.import_module(f"training.methods.recipes.{module}"), preset.upper())
    assert isinstance(recipe, MethodRecipe)
    return validate_recipe(apply_overrides(recipe, overrides))

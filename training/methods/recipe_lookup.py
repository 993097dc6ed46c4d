"""The eight recipes by name or paper id."""

from __future__ import annotations

import importlib
from typing import Final

from training.methods.recipe import Recipe
from training.methods.recipe_overrides import with_options
from training.methods.validate_recipe import check_recipe

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
"""Files of `training/recipes`, M1 to M8."""


def find_recipe(name: str, preset: str = "published", options: list[str] | None = None) -> Recipe:
    """A recipe by its name or by M1 to M8, with `a.b=value` options applied."""
    ids = {f"M{i}": each for i, each in enumerate(RECIPES, start=1)}
    found = ids.get(name.upper(), name)
    if found not in RECIPES:
        raise ValueError(
            f"unknown recipe {name!r}, there are {', '.join(f'{each} ({i})' for i, each in ids.items())}"
        )
    recipe = importlib.import_module(f"training.methods.recipes.{found}").recipe(preset)
    assert isinstance(recipe, Recipe)
    changed = with_options(recipe, options or [])
    assert isinstance(changed, Recipe)
    return check_recipe(changed)

"""Invalid options of recipes are rejected with the valid ones, in any order."""

from __future__ import annotations

import pytest

from training.methods.recipe import PRESETS
from training.methods.recipe_lookup import RECIPES, find_recipe

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("M1", ["net.size_px=-3"], "net.size_px must be at least 1, got -3"),
        ("M2", ["net.window=0"], "net.window must be at least 1, got 0"),
        ("M2", ["net.layers=-1"], "net.layers must be at least 0, got -1"),
        ("M5", ["net.spacing=0"], "net.spacing must be at least 1, got 0"),
        ("M3", ["net.dropout=3"], "net.dropout is a fraction and must be from 0 to below 1, got 3"),
        ("M3", ["optimizer.rate=nan"], "optimizer.rate must be a number above 0, got nan"),
        ("M3", ["optimizer.rate=-1"], "optimizer.rate must be a number above 0, got -1"),
        (
            "M3",
            ["optimizer.weight_decay=-1"],
            "optimizer.weight_decay must be a number not below 0, got -1",
        ),
        ("M1", ["optimizer.period=0"], "optimizer.period must be at least 1, got 0"),
        (
            "M3",
            ["sampler=pairs"],
            "sampler=pairs is for M7, whose network orders frames; choose another for M3",
        ),
        (
            "M7",
            ["sampler=phases"],
            "needs sampler=pairs, got phases; net.mapping=false classifies directly",
        ),
        (
            "M3",
            ["targets=frozen_teacher"],
            "targets of M3 must be one of ignore, ema_teacher, got frozen_teacher",
        ),
        (
            "M8",
            ["targets=ema_teacher"],
            "targets of M8 must be one of ignore, frozen_teacher, got ema_teacher",
        ),
    ],
)
def test_find_recipe_of_invalid_option_raises(name: str, options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        find_recipe(name, "compact", options)


@pytest.mark.parametrize(
    "options", [["sampler=mixed", "net.mapping=false"], ["net.mapping=false", "sampler=mixed"]]
)
def test_find_recipe_validates_options_together(options: list[str]) -> None:
    assert find_recipe("M7", "compact", options).sampler == "mixed"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", RECIPES)
def test_find_recipe_of_each_preset_is_valid(name: str, preset: str) -> None:
    assert find_recipe(name, preset).preset == preset


def test_find_recipe_with_zero_layers_is_valid() -> None:
    assert find_recipe("M2", "compact", ["net.layers=0"]).net.layers == 0

"""Overrides of recipe fields by dotted names."""

from __future__ import annotations

import pytest

from training.engine.recipe_overrides import apply_overrides
from training.methods.recipe_lookup import find_recipe

pytestmark = pytest.mark.train
RECIPE = find_recipe("M7", "compact")


def test_apply_overrides_parses_each_type() -> None:
    options = [
        "net.shared=false",
        "net.window=9",
        "optimizer.rate=0.5",
        "sampler=mixed",
        "optimizer.milestones=2,4",
    ]
    changed = apply_overrides(RECIPE, options)
    assert changed.net.shared is False
    assert changed.net.window == 9
    assert changed.optimizer.rate == 0.5
    assert changed.sampler == "mixed"
    assert changed.optimizer.milestones == (2, 4)
    assert RECIPE.net.shared is True


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("net.shard=true", r"unknown option 'net.shard': net has \[.*'shared'"),
        ("nets.shared=true", r"the recipe has \[.*'net'"),
        ("net.window=long", "'net.window' must be int, got 'long'"),
        ("net.shared=maybe", "must be bool, got 'maybe'"),
        ("net=big", r"'net' is a group of \[.*'window'"),
        ("net.window", "must be name=value"),
        ("losses=none", "cannot be set"),
        ("sampler=all", r"sampler must be one of \('mixed'"),
        ("optimizer.kind=sdg", "optimizer.kind must be one of sgd, adam, adamw"),
    ],
)
def test_apply_overrides_of_invalid_option_raises(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_overrides(RECIPE, [option])

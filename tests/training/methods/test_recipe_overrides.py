"""Options by dotted names."""

from __future__ import annotations

import pytest

from training.methods.recipe_lookup import find_recipe
from training.methods.recipe_overrides import with_options

pytestmark = pytest.mark.train
RECIPE = find_recipe("M7", "compact")


def test_each_kind_of_value() -> None:
    options = [
        "net.shared=false",
        "net.window=9",
        "optimizer.rate=0.5",
        "sampler=mixed",
        "optimizer.milestones=2,4",
    ]
    changed = with_options(RECIPE, options)
    assert changed.net.shared is False
    assert changed.net.window == 9
    assert changed.optimizer.rate == 0.5
    assert changed.sampler == "mixed"
    assert changed.optimizer.milestones == (2, 4)
    assert RECIPE.net.shared is True


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("net.shard=true", r"unknown option 'net.shard': in net there are \[.*'shared'"),
        ("nets.shared=true", r"in the recipe there are \[.*'net'"),
        ("net.window=long", "'net.window' must be int, got 'long'"),
        ("net.shared=maybe", "must be bool, got 'maybe'"),
        ("net=big", r"'net' is a group of \[.*'window'"),
        ("net.window", "must be name=value"),
        ("losses=none", "cannot be set"),
        ("sampler=all", r"sampler must be one of \('mixed'"),
        ("optimizer.kind=sdg", r"optimizer must be of \('sgd', 'adam'\)"),
    ],
)
def test_mistakes_are_told(option: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_options(RECIPE, [option])

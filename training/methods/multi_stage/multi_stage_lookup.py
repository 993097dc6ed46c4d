"""Which recipes are trained in several stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from training.methods.recipe import Recipe
from training.models.stages import MethodNet

Driver = Callable[..., MethodNet]
"""(recipe, data, folder, seed=, resume=, device=, bfloat16=, steps=) -> the trained network, as
`train_method`.

Stages lie in folders of their own under `folder`, the network that counts in `folder` itself.
`steps` are those of the stage that makes this network; None takes the recipe's epochs.
"""


def multi_stage_training_for(recipe: Recipe) -> Driver | None:
    """The driver of a recipe as it is configured, None where one run of the loop is all."""
    found = _DRIVERS.get(type(recipe.net).__name__)
    return None if found is None else found(recipe)


def _identity(recipe: Recipe) -> Driver | None:
    from training.methods.multi_stage.identity_prior import train_with_identity_prior

    return None if recipe.net.student else train_with_identity_prior


def _pseudo(recipe: Recipe) -> Driver | None:
    from training.methods.multi_stage.pseudo_label_pass import train_on_pseudo_labels

    return train_on_pseudo_labels if recipe.targets == "offline_pseudo" else None


def _pairs(recipe: Recipe) -> Driver | None:
    from training.methods.multi_stage.pairwise_stages import train_pairwise

    return train_pairwise if recipe.net.mapping else None


def _teacher(recipe: Recipe) -> Driver | None:
    from training.methods.multi_stage.teacher_and_student import train_teacher_and_student

    return (
        train_teacher_and_student
        if recipe.targets == "frozen_teacher" or recipe.net.recurrence != "none"
        else None
    )


_DRIVERS: Final[dict[str, Callable[[Any], Driver | None]]] = {
    "PriorAidedStreamingConfig": _identity,
    "PyramidConfig": _pseudo,
    "PairwiseConfig": _pairs,
    "MultiDatabaseConfig": _teacher,
}

"""Lookup of the training function of recipes that are trained in several stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from training.engine.trainer import TrainerConfig
from training.methods.data import MethodData
from training.methods.recipe import MethodRecipe
from training.methods.train_method import AfterEpoch
from training.models.stages import MethodNet


class MultiStageTraining(Protocol):
    """Trains all stages and returns the final network.

    Each stage has a subfolder of `config.folder`, the last one `config.folder` itself.
    `config.steps` are those of the last stage; `after_epoch` is called in it alone.
    """

    def __call__(
        self,
        recipe: MethodRecipe,
        data: MethodData,
        config: TrainerConfig,
        *,
        after_epoch: AfterEpoch | None = None,
    ) -> MethodNet: ...


def multi_stage_training_for(recipe: MethodRecipe) -> MultiStageTraining | None:
    """The training function of a recipe; None if it is trained in one stage."""
    select = _BY_NETWORK.get(type(recipe.net).__name__)
    return None if select is None else select(recipe)


def _identity(recipe: MethodRecipe) -> MultiStageTraining | None:
    from training.methods.multi_stage.identity_prior import train_with_identity_prior

    return None if recipe.net.student else train_with_identity_prior


def _pseudo_labels(recipe: MethodRecipe) -> MultiStageTraining | None:
    from training.methods.multi_stage.pseudo_label_pass import train_on_pseudo_labels

    return train_on_pseudo_labels if recipe.targets == "offline_pseudo" else None


def _pairs(recipe: MethodRecipe) -> MultiStageTraining | None:
    from training.methods.multi_stage.pairwise_stages import train_pairwise

    return train_pairwise if recipe.net.mapping else None


def _teacher(recipe: MethodRecipe) -> MultiStageTraining | None:
    from training.methods.multi_stage.teacher_and_student import train_teacher_and_student

    is_staged = recipe.targets == "frozen_teacher" or recipe.net.recurrence != "none"
    return train_teacher_and_student if is_staged else None


_BY_NETWORK: Final[dict[str, Callable[[Any], MultiStageTraining | None]]] = {
    "PriorAidedStreamingConfig": _identity,
    "PyramidConfig": _pseudo_labels,
    "PairwiseConfig": _pairs,
    "MultiDatabaseConfig": _teacher,
}

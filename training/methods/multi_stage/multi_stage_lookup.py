"""Lookup of the training function of recipes that are trained in several stages."""

from __future__ import annotations

from typing import Any, Protocol

from training.engine.trainer import TrainerConfig
from training.methods.data import MethodData
from training.methods.multi_stage.frames_then_sequences import train_frames_then_sequences
from training.methods.multi_stage.identity_prior import train_with_identity_prior
from training.methods.multi_stage.pairwise_stages import train_pairwise
from training.methods.multi_stage.pseudo_label_pass import train_on_pseudo_labels
from training.methods.multi_stage.teacher_and_student import train_teacher_and_student
from training.methods.recipe import MethodRecipe
from training.models.networks.multi_database import MultiDatabaseConfig
from training.models.networks.multimodal_transformer import MultimodalConfig
from training.models.networks.pairwise_intensity import PairwiseConfig
from training.models.networks.prior_aided_streaming import PriorAidedStreamingConfig
from training.models.networks.pyramid_multitask import PyramidConfig
from training.models.stages import MethodNet


class MultiStageTraining(Protocol):
    """Trains all stages and returns the final network.

    Each stage has a subfolder of `config.folder`, the last one `config.folder` itself.
    `config.steps`, if any, are those of every stage in place of its epochs.
    """

    def __call__(
        self,
        recipe: MethodRecipe,
        data: MethodData,
        config: TrainerConfig,
    ) -> MethodNet: ...


def multi_stage_training_for(recipe: MethodRecipe) -> MultiStageTraining | None:
    """The training function of a recipe; None if it is trained in one stage."""
    net: Any = recipe.net
    match net:
        case PriorAidedStreamingConfig():
            return None if net.student else train_with_identity_prior
        case MultimodalConfig():
            return train_frames_then_sequences
        case PyramidConfig():
            return train_on_pseudo_labels if recipe.targets == "offline_pseudo" else None
        case PairwiseConfig():
            return train_pairwise if net.mapping else None
        case MultiDatabaseConfig():
            is_staged = recipe.targets == "frozen_teacher" or net.recurrence != "none"
            return train_teacher_and_student if is_staged else None
    return None

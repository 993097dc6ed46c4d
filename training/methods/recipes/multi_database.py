"""M8, multi-task multi-database: differently labeled sources, a teacher's soft targets, then a GRU
over frames.
"""

from __future__ import annotations

from training.engine.optimizer import OptimizerConfig
from training.engine.recipe import select_preset
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.multi_database import MultiDatabaseConfig


def recipe(preset: str = "published") -> MethodRecipe:
    compact = MultiDatabaseConfig(
        "small_resnet", size_px=96, hidden=64, recurrence="forward", gru_width=32
    )
    return MethodRecipe(
        name="multi-database recurrent",
        paper="M8",
        sentence="Distills differently labeled sources into one model, then adds a GRU.",
        preset=preset,
        net=select_preset(preset, {"published": MultiDatabaseConfig(), "compact": compact}),
        normalization="ferplus",
        losses=(
            LossTerm("ce_smooth", "expression_logit", "expression"),
            LossTerm("bins_ce", "va_bin_logit", "va"),
            LossTerm("ccc", "va", "va"),
        ),
        sampler="parallel_tasks",
        targets="frozen_teacher",
        optimizer=OptimizerConfig(
            "adam", select_preset(preset, {"published": 1e-4, "compact": 1e-3}), momentum=0.5
        ),
        batch=64,
        epochs=select_preset(preset, {"published": 40, "compact": 10}),
        sampling=SamplingConfig(
            windows=select_preset(preset, {"published": 16, "compact": 4}),
            stride=16,
            drop_gaps=True,
            length="shortest",
            joint=True,
            weights="inverse",
        ),
    )

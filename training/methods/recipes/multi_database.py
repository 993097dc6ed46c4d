"""M8, multi-task multi-database: differently labeled sources, a teacher's soft targets, then a GRU
over frames.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.multi_database import MultiDatabaseConfig

_SAMPLING: Final = SamplingConfig(
    windows=16,
    stride=16,
    drop_gaps=True,
    length="shortest",
    joint=True,
    weights="inverse",
    keep_one_in=(10, 1, 1, 1, 2, 2, 1),
    va_every=5,
)

PUBLISHED: Final = MethodRecipe(
    name="multi-database recurrent",
    paper="M8",
    sentence="Distills differently labeled sources into one model, then adds a GRU.",
    preset="published",
    net=MultiDatabaseConfig(),
    normalization="ferplus",
    losses=(
        LossTerm("ce_smooth", "expression_logit", "expression"),
        LossTerm("bins_ce", "va_bin_logit", "va"),
        LossTerm("ccc", "va", "va"),
    ),
    sampler="parallel_tasks",
    targets="frozen_teacher",
    optimizer=OptimizerConfig("adam", 1e-4, momentum=0.5),
    batch=64,
    epochs=40,
    databases=("expw", "afew-va", "affectnet"),
    patience=5,
    sampling=_SAMPLING,
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=MultiDatabaseConfig(
        "small_resnet", size_px=96, hidden=64, recurrence="forward", gru_width=32
    ),
    optimizer=OptimizerConfig("adam", 1e-3, momentum=0.5, max_gradient_norm=5.0),
    epochs=10,
    patience=0,
    sampling=replace(_SAMPLING, windows=4, keep_one_in=(), va_every=1),
)

"""M5, multi-task mean teacher: clips, facial parts and audio; a moving average of the network fills
missing labels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from training.engine.optimizer import OptimizerConfig
from training.losses.total_loss import LossTerm
from training.methods.recipe import MethodRecipe
from training.methods.sampling_config import SamplingConfig
from training.models.networks.mean_teacher_clip import MeanTeacherClipConfig

PUBLISHED: Final = MethodRecipe(
    name="mean teacher",
    paper="M5",
    sentence="Learns missing labels of clips from a mean teacher, with self-cure.",
    preset="published",
    net=MeanTeacherClipConfig(),
    normalization="kinetics4",
    losses=(
        LossTerm("ce_smooth", "expression_logit_8", "expression", weight=3.0),
        LossTerm("bce", "au_logit", "au", options={"summed": True}),
        LossTerm("ccc", "va", "va"),
    ),
    sampler="mixed",
    targets="ema_teacher",
    teacher_mean="missing",
    optimizer=OptimizerConfig("adam", 5e-4, 5e-5),
    batch=28,
    epochs=100,
    patience=10,
    sampling=SamplingConfig(every=100),
)
COMPACT: Final = replace(
    PUBLISHED,
    preset="compact",
    net=MeanTeacherClipConfig(
        "2d1d", size_px=64, base=16, depth=1, audio_base=8, audio_depth=1, mel_columns=201
    ),
    teacher_mean="batch",
    optimizer=OptimizerConfig("adam", 2e-3, 5e-5, schedule="cosine", max_gradient_norm=5.0),
    epochs=20,
    patience=0,
    sampling=SamplingConfig(every=3),
)

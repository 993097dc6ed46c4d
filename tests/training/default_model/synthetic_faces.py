"""Synthetic faces and a tiny trainer of the default model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.face_table import FaceTable, empty_targets
from training.default_model.batch_mixer import BatchMixer, Source
from training.default_model.build_trainer import trainer_of
from training.default_model.recipe import DefaultModelRecipe, Schedule, SourceMix
from training.engine.optimizer import OptimizerConfig
from training.engine.trainer import Trainer
from training.models.affect_net import NetConfig
from training.models.mean_shape import MEAN_SHAPE_PX
from training.models.trunk import Stage, TrunkConfig

TINY = NetConfig(
    TrunkConfig(8, (Stage("residual", 8, 1), Stage("fused", 16, 1), Stage("inverted", 16, 1))),
    node_width=8,
    embed_width=16,
    place_channels=4,
    place_width=16,
)
SCHEDULE = Schedule(steps=4, small_px=64, small_until=0.5, save_every=2)
OPTIMIZER = OptimizerConfig(
    "adamw", 3e-3, weight_decay=0.05, schedule="warmup_cosine", warmup_steps=1
)


def synthetic_faces(count: int = 12) -> FaceTable:
    random = np.random.default_rng(0)
    targets = empty_targets(count)
    targets["landmarks_xy"] = np.repeat(MEAN_SHAPE_PX[None], count, axis=0)
    for name in ("landmark_weight", "pose_weight", "expression_weight", "va_weight", "au_weight"):
        targets[name][:] = 1
    targets["expression"] = np.eye(len(EXPRESSION_NAMES), dtype=np.float32)[
        random.integers(0, 7, count)
    ]
    targets["au"] = (random.random((count, 12)) < 0.4).astype(np.float32)
    images = random.integers(0, 256, (count, 112, 112, 3)).astype(np.uint8)
    return FaceTable("synthetic", images, **targets)


def tiny_mixer() -> BatchMixer:
    faces = synthetic_faces()
    source = Source(faces, 8, np.full(len(faces), 1 / len(faces)))
    return BatchMixer([source], 2, 1, DefaultModelRecipe("tiny", TINY).jitter)


def tiny_trainer(folder: Path, schedule: Schedule = SCHEDULE) -> Trainer:
    recipe = DefaultModelRecipe(
        "tiny", TINY, OPTIMIZER, mix=SourceMix(no_face=2), schedule=schedule
    )
    return trainer_of(recipe, tiny_mixer(), folder, torch.ones(7))

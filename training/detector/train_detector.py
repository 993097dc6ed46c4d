"""Training of the face detector: `python -m training train-detector`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from training.detector.network import DetectorConfig, DetectorNet
from training.detector.objective import DetectorObjective
from training.detector.scenes import SceneGenerator, mirrored, to_batch
from training.detector.yunet_teacher import (
    TeacherImage,
    label_synthetic_frames,
    label_web_faces,
    load_teacher_images,
    save_teacher_images,
)
from training.engine.ema import EmaModel
from training.engine.optimizer import SHORT_COSINE, OptimizerConfig
from training.engine.recipe import Recipe
from training.engine.trainer import Trainer, TrainerConfig

TEACHER_IMAGES_FILE: Final = "teacher_images.npz"
_STEPS_PER_EPOCH: Final = 100


@dataclass(frozen=True, slots=True)
class DetectorRecipe(Recipe):
    """Recipe of the detector; epochs have 100 steps of `batch` scenes of 256x160."""

    name: str = "detector"
    net: DetectorConfig = field(default_factory=DetectorConfig)
    optimizer: OptimizerConfig = SHORT_COSINE
    epochs: int = 40
    batch: int = 16
    ema_decay: float = 0.998
    seed: int = 1


@dataclass(slots=True)
class SceneBatches:
    """Batch source of scenes and their mirror images."""

    scenes: SceneGenerator
    batch: int
    steps_per_epoch: int = _STEPS_PER_EPOCH

    def get(self, step: int) -> Sequence[dict[str, Tensor]]:
        half = self.batch // 2
        scenes = [self.scenes.generate(step * self.batch // 2 + i) for i in range(half)]
        return [to_batch([*scenes, *map(mirrored, scenes)])]


def teacher_images(
    assets: Path, synthetic_videos: Path | None, cache_file: Path
) -> list[TeacherImage]:
    """Web faces and, if given, frames of RenderWild, labeled by YuNet once and kept in
    `cache_file`.
    """
    if not cache_file.exists():
        images = list(label_web_faces(assets))
        if synthetic_videos is not None:
            images += label_synthetic_frames(assets, synthetic_videos)
        save_teacher_images(images, cache_file)
    return load_teacher_images(cache_file)


def build_detector_trainer(
    recipe: DetectorRecipe,
    out: Path,
    assets: Path,
    synthetic_videos: Path | None,
    threads: int = 1,
) -> Trainer:
    """The trainer over all images that are not held out; labeling them takes some minutes."""
    torch.set_num_threads(threads)
    labeled = teacher_images(assets, synthetic_videos, out / TEACHER_IMAGES_FILE)
    images = [image for image in labeled if not image.held_out]
    if not images:
        raise ValueError(f"expected images in {assets}/data/webfaces, got none")
    torch.manual_seed(recipe.seed)
    net = DetectorNet(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trainer(
        net,
        DetectorObjective(),
        SceneBatches(SceneGenerator(images, assets / "data", recipe.seed), recipe.batch),
        recipe,
        TrainerConfig(out, seed=recipe.seed),
        ema=EmaModel(net, recipe.ema_decay),
    )

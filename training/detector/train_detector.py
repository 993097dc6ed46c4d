"""Trains the detector: `python -m training train-detector`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from training.detector.network import DetectorConfig, DetectorNet
from training.detector.objective import DetectorObjective
from training.detector.scenes import SceneGenerator, as_batch, mirrored
from training.detector.yunet_teacher import (
    TeacherImage,
    label_web_faces,
    load_taught,
    save_taught,
    taught_renders,
)
from training.methods.ema_teacher import Teacher
from training.methods.optimizer import OptimizerConfig
from training.methods.trainer import MethodLoop

TAUGHT_FILE: Final = "taught.npz"
_STEPS_PER_EPOCH: Final = 100


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """Everything that decides a run; of the form that `MethodLoop` wants."""

    name: str = "detector"
    paper: str = "distilled from YuNet"
    preset: str = "scenes of 256x160"
    net: DetectorConfig = field(default_factory=DetectorConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            rate=3e-3, weight_decay=1e-4, schedule="cosine", floor=3e-5
        )
    )
    batch: int = 16
    epochs: int = 40  # of 100 steps
    ema_decay: float = 0.998
    seed: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


@dataclass(slots=True)
class SceneBatches:
    """Batches of scenes by the number of the step."""

    scenes: SceneGenerator
    batch: int
    steps_per_epoch: int = _STEPS_PER_EPOCH

    def make(self, step: int) -> Sequence[dict[str, Tensor]]:
        scenes = [self.scenes.make(step * self.batch // 2 + i) for i in range(self.batch // 2)]
        return [as_batch([*scenes, *map(mirrored, scenes)])]


def taught_images(shared: Path, wild: Path | None, kept: Path) -> list[TeacherImage]:
    """Web faces, and frames of RenderWild where there are some, with what YuNet says of them; asked
    once, then `kept`.
    """
    if not kept.exists():
        save_taught(
            [*label_web_faces(shared), *(taught_renders(shared, wild) if wild is not None else ())],
            kept,
        )
    return load_taught(kept)


def open_detector_loop(
    recipe: DetectorRecipe, out: Path, shared: Path, wild: Path | None, threads: int = 1
) -> MethodLoop:
    """The loop over everything that is not held out. Some minutes: the teacher looks at each image."""
    torch.set_num_threads(threads)
    images = [one for one in taught_images(shared, wild, out / TAUGHT_FILE) if not one.held_out]
    if not images:
        raise ValueError(f"{shared}: images in data/webfaces are wanted, none found")
    torch.manual_seed(recipe.seed)
    net = DetectorNet(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = SceneBatches(SceneGenerator(images, shared / "data", recipe.seed), recipe.batch)
    return MethodLoop(
        recipe,
        net,
        DetectorObjective(),
        batches,
        out,
        Teacher(net, recipe.ema_decay),
        save_every=100,
        seed=recipe.seed,
    )  # type: ignore[arg-type]

"""Pretraining of the image trunk of compact methods.

It replaces the large face datasets of the published methods.

A small trunk learns expressions from votes and action units from the landmark teacher, on FER+
Training and web faces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES, EXPRESSION_NAMES
from training.default_model.batch_mixer import BatchMixer, Source, class_balanced_weights
from training.default_model.build_trainer import load_real_faces, uniform_weights
from training.default_model.default_recipe import recipe as default_recipe
from training.engine.checkpoint import write_json, write_weights
from training.engine.optimizer import SHORT_COSINE, OptimizerConfig
from training.engine.recipe import Recipe
from training.engine.trainer import Trainer, TrainerConfig
from training.losses.action_units import bce
from training.losses.expression import distribution_ce, inverse_frequency_weights
from training.methods.normalization import NORMALIZATIONS
from training.models.backbones.build_backbone import build_backbone, width_of

TRUNK_FILE: Final = "trunk.safetensors"
RECORD_FILE: Final = "trunk.json"


@dataclass(frozen=True, slots=True)
class PretrainRecipe(Recipe):
    """Recipe of a trunk; `net` is the name of its backbone."""

    name: str = "trunk"
    net: str = "small_resnet"
    optimizer: OptimizerConfig = SHORT_COSINE
    epochs: int = 16
    size_px: int = 64
    normalization: str = "half"
    ferplus: int = 104  # faces of a batch
    webfaces: int = 24
    no_face: int = 2
    steps_per_epoch: int = 100
    seed: int = 1


class TrunkWithHeads(nn.Module):
    """A trunk with a linear layer for expressions and one for action units."""

    def __init__(self, trunk: str) -> None:
        super().__init__()
        self.trunk = build_backbone(trunk)
        self.expression = nn.Linear(width_of(self.trunk), len(EXPRESSION_NAMES))
        self.au = nn.Linear(width_of(self.trunk), len(AU_NAMES))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:  # [N, 3, S, S] -> [N, 7], [N, 12]
        features = self.trunk(crops)
        return self.expression(features), self.au(features)


@dataclass(frozen=True, slots=True)
class _Objective:
    class_weight: Tensor

    def __call__(
        self, net: nn.Module, batch: Mapping[str, Tensor], epoch: float
    ) -> dict[str, Tensor]:
        expression, au = net(batch["crops"].contiguous(memory_format=torch.channels_last))
        parts = {
            "expression": distribution_ce(
                expression,
                batch["expression"],
                batch["expression_weight"],
                self.class_weight.to(expression.device),
            ),
            "au": bce(au, batch["au"], batch["au_weight"]),
        }
        return parts | {"loss": parts["expression"] + parts["au"]}


class _NormalizedBatches:
    """Batch source of a mixer's faces, normalized for the trunk."""

    def __init__(self, mixer: BatchMixer, recipe: PretrainRecipe) -> None:
        self._mixer, self._size_px = mixer, recipe.size_px
        self._normalization = NORMALIZATIONS[recipe.normalization]
        self.steps_per_epoch = recipe.steps_per_epoch

    def get(self, step: int) -> Sequence[dict[str, Tensor]]:
        batch = self._mixer.build(step, self._size_px)
        names = ("expression", "expression_weight", "au", "au_weight")
        crops = self._normalization.apply(batch["crops"])
        return [{"crops": crops, **{name: batch[name] for name in names}}]


def build_pretrainer(recipe: PretrainRecipe, out: Path, assets: Path, labels: Path) -> Trainer:
    """Trainer over FER+ Training and the web faces that are not held out.

    `labels` is the output of `training pseudo-label`.
    """
    ferplus, webfaces = load_real_faces(assets, labels)
    mix = default_recipe().mix
    weights = class_balanced_weights(ferplus.expression, mix.balance_power)
    sources = [
        Source(ferplus, recipe.ferplus, weights),
        Source(webfaces, recipe.webfaces, uniform_weights(len(webfaces))),
    ]
    mixer = BatchMixer(
        sources, recipe.no_face, recipe.seed, default_recipe().jitter, mix.mixup_fraction
    )
    torch.manual_seed(recipe.seed)
    net = TrunkWithHeads(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    class_weight = inverse_frequency_weights(ferplus.expression, ferplus.expression_weight)
    return Trainer(
        net,
        _Objective(class_weight),
        _NormalizedBatches(mixer, recipe),
        recipe,
        TrainerConfig(out, seed=recipe.seed),
    )


def write_trunk(trainer: Trainer, out: Path) -> dict[str, Any]:
    """Write `trunk.safetensors` and a record of its training; returns the record."""
    net = trainer.net
    assert isinstance(net, TrunkWithHeads)
    path = out / TRUNK_FILE
    write_weights(path, net.trunk)
    record = {
        "trunk": trainer.recipe.net,
        "steps": trainer.step,
        "trained_on": "FER+ Training (expressions by votes) and web faces; action units are the "
        "landmark teacher's blendshapes",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    write_json(out / RECORD_FILE, record)
    return record

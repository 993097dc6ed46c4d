"""Assembles the default model's data, network and trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.labels import EXPRESSION_NAMES
from training.datasets.face_table import FaceTable, concat_tables
from training.datasets.real_faces import load_ferplus, load_webfaces
from training.datasets.renderwild import Origin, load_renderwild_frames, neutral_keep_mask
from training.datasets.synthetic_images import RIGS, load_synthetic_images
from training.default_model.batch_mixer import (
    BatchMixer,
    MixedBatches,
    Source,
    au_balanced_weights,
    class_balanced_weights,
)
from training.default_model.init_from_bundle import init_from_bundle_weights
from training.default_model.objective import multi_task, normalize
from training.default_model.recipe import DefaultModelRecipe
from training.engine.ema import EmaModel
from training.engine.trainer import Trainer, TrainerConfig
from training.losses.expression import inverse_frequency_weights
from training.models.affect_net import AffectNet

NEUTRAL_FRAMES_DROPPED: Final = 0.5  # of RenderWild's neutral frames
_STATISTICS_BATCHES: Final = 6  # batches that the filter statistics of a bundle are measured on


class TargetProvider(Protocol):
    """Replaces the targets of a source's faces; rows keep their order."""

    def images(self, table: FaceTable) -> FaceTable: ...

    def frames(self, table: FaceTable, folder: Path, origins: list[Origin]) -> FaceTable:
        """Targets of frames of the RenderWild videos in `folder`."""
        ...


@dataclass(frozen=True, slots=True)
class DataPaths:
    """Folders of training data.

    assets: shared images and teachers. labels: output of `pseudo-label`; None leaves out FER+ and
    the web faces. synthetic_images: rendered faces. synthetic_videos: RenderWild data sets.
    """

    assets: Path
    labels: Path | None
    synthetic_images: Path | None = None
    synthetic_videos: Sequence[Path] = field(default=())


def build_default_trainer(
    recipe: DefaultModelRecipe,
    folder: Path,
    data: DataPaths,
    target_provider: TargetProvider | None = None,
) -> Trainer:
    """The trainer over FER+ and the web faces, synthetic images and RenderWild, as far as given.

    `target_provider` replaces the faces' targets; the probabilities of drawing them still depend
    on their own labels.
    """
    builder = _SourceBuilder(recipe, target_provider)
    if data.labels is not None:
        builder.add_real_faces(data.assets, data.labels)
    if data.synthetic_images is not None:
        builder.add_synthetic_images(data.synthetic_images)
    if data.synthetic_videos:
        builder.add_synthetic_videos(data.synthetic_videos)
    if not builder.sources:
        raise ValueError(
            "expected faces to train on, got none: give labels of real faces, synthetic images or "
            "synthetic videos (RenderWild)"
        )
    mix = recipe.mix
    mixer = BatchMixer(
        builder.sources, mix.no_face, recipe.schedule.seed, recipe.jitter, mix.mixup_fraction
    )
    return trainer_of(recipe, mixer, folder, builder.class_weight)


def trainer_of(
    recipe: DefaultModelRecipe, mixer: BatchMixer, folder: Path, class_weight: Tensor
) -> Trainer:
    """The trainer of a new network over the mixer's batches."""
    schedule = recipe.schedule
    torch.manual_seed(schedule.seed)
    net = AffectNet(recipe.net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.uses_bfloat16 = schedule.bfloat16
    config = TrainerConfig(
        folder,
        seed=schedule.seed,
        steps=schedule.steps,
        save_every=schedule.save_every,
        allow_changed_recipe=True,  # schedule and mix may be tuned while a run is stopped
    )
    return Trainer(
        net,
        multi_task(recipe.losses, class_weight),
        MixedBatches(mixer, schedule),
        recipe,
        config,
        ema=EmaModel(net, schedule.ema_decay, warmup="slow"),
    )


def init_from_bundle(trainer: Trainer, model: str | Path) -> None:
    """Start with the weights of a bundle (a folder, or a listed name); ValueError if they are of
    another network.
    """
    assert isinstance(trainer.net, AffectNet)
    assert isinstance(trainer.batches, MixedBatches)
    crops = [
        normalize(trainer.batches.small_crops(trainer.steps + k)).contiguous(
            memory_format=torch.channels_last
        )
        for k in range(_STATISTICS_BATCHES)
    ]
    trainer.set_started_from(init_from_bundle_weights(trainer.net, model, crops))


def prepare_trainer(trainer: Trainer, resume: bool, init_from: str | None) -> None:
    """Resume a saved run, or start with a bundle's weights, or from scratch; prints which."""
    if resume and trainer.resume():
        click.echo(f"resumed at step {trainer.step}")
        return
    if resume:
        click.echo("nothing to resume, starting anew")
    if init_from is not None:
        init_from_bundle(trainer, init_from)
        click.echo(f"starting with the weights of {init_from}")


class _SourceBuilder:
    """Collects the sources of a recipe."""

    def __init__(self, recipe: DefaultModelRecipe, provider: TargetProvider | None) -> None:
        self._mix, self._provider = recipe.mix, provider
        self._rigs = [i for i, rig in enumerate(RIGS) if self._mix.rig in ("both", rig)]
        if not self._rigs:
            raise ValueError(f"mix.rig must be both or one of {RIGS}, got {self._mix.rig!r}")
        self.sources: list[Source] = []
        self.class_weight = torch.ones(len(EXPRESSION_NAMES))

    def add_real_faces(self, assets: Path, labels: Path) -> None:
        ferplus, webfaces = load_real_faces(assets, labels)
        weights = class_balanced_weights(ferplus.expression, self._mix.balance_power)
        self.sources += [
            Source(self._targets(ferplus), self._mix.ferplus, weights),
            Source(self._targets(webfaces), self._mix.webfaces, uniform_weights(len(webfaces))),
        ]
        self.class_weight = inverse_frequency_weights(ferplus.expression, ferplus.expression_weight)

    def add_synthetic_images(self, folder: Path) -> None:
        faces, is_validation, columns = load_synthetic_images(folder)
        faces = faces.select(~is_validation & np.isin(columns["rig"], self._rigs))
        weights = au_balanced_weights(faces.au, self._mix.au_balance_power)
        self.sources.append(Source(self._targets(faces), self._mix.synthetic_images, weights))

    def add_synthetic_videos(self, folders: Sequence[Path]) -> None:
        tables, labels = [], []
        for folder in folders:
            frames, rigs, origins = load_renderwild_frames(folder)
            targets = frames
            if self._provider is not None:
                targets = self._provider.frames(frames, folder, origins)
            is_used = np.isin(rigs, self._rigs)
            tables.append(targets.select(is_used))
            labels.append(frames.select(is_used))
        # Selected by the labels, so that a teacher changes nothing but targets.
        label_table = concat_tables(labels)
        kept = neutral_keep_mask(label_table, NEUTRAL_FRAMES_DROPPED)
        weights = au_balanced_weights(label_table.au[kept], self._mix.au_balance_power)
        frames = concat_tables(tables).select(kept)
        self.sources.append(Source(frames, self._mix.synthetic_videos, weights))

    def _targets(self, table: FaceTable) -> FaceTable:
        return table if self._provider is None else self._provider.images(table)


def load_real_faces(assets: Path, labels: Path) -> tuple[FaceTable, FaceTable]:
    """Faces to train on: of FER+ Training, and the web faces that are not held out."""
    ferplus, _, usage = load_ferplus(assets, labels)
    webfaces, held_out = load_webfaces(assets, labels)
    return ferplus.select(split_ferplus(usage)[0]), webfaces.select(~held_out)


def split_ferplus(usage: NDArray[np.str_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of FER+ Training to train on and, every 20th, to choose thresholds on."""
    training = np.flatnonzero(usage == "Training")
    return training[np.arange(len(training)) % 20 != 0], training[::20]


def uniform_weights(count: int) -> NDArray[np.float64]:
    return np.full(count, 1 / count)

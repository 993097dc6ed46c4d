"""The default model's data, put together for the loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

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
from training.default_model.batch_mixer import BatchMaker, Source, au_balanced_weights, balanced
from training.default_model.recipe import Mix, Recipe
from training.default_model.trainer import TrainLoop, class_weights

NEUTRAL_LEFT_OUT = 0.5  # of RenderWild's neutral frames


def ferplus_parts(table: FaceTable, usage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Rows of FER+ Training to train on and to choose thresholds on (every 20th)."""
    training = np.flatnonzero(usage == "Training")
    return training[np.arange(len(training)) % 20 != 0], training[::20]


class Teaching(Protocol):
    """Gives a source's faces other targets than its own; rows stay where they are."""

    def stills(self, table: FaceTable) -> FaceTable: ...

    def frames(self, table: FaceTable, wild: Path, origins: list[Origin]) -> FaceTable:
        """Frames of RenderWild's videos."""
        ...


def open_loop(
    recipe: Recipe, folder: Path, shared: Path, labels: Path | None, renders: Path | None, wild: Sequence[Path] = (),
    teaching: Teaching | None = None,
) -> TrainLoop:  # fmt: skip
    """The training loop over FER+ and the web faces (without `labels`: none), rendered stills and
    RenderWild, if given.

    With `teaching` the faces' targets are what it makes of them; which faces are drawn depends
    on their own labels still.
    """
    mix, sources = recipe.mix, []
    weight: Tensor = torch.ones(len(EXPRESSION_NAMES))
    if labels is not None:
        ferplus, _, usage = load_ferplus(shared, labels)
        ferplus = ferplus.select(ferplus_parts(ferplus, usage)[0])
        webfaces, held_out = load_webfaces(shared, labels)
        webfaces = webfaces.select(~held_out)
        sources = [
            Source(
                _taught(ferplus, teaching),
                mix.ferplus,
                balanced(ferplus.expression, mix.balance_power),
            ),
            Source(_taught(webfaces, teaching), mix.webfaces, _even(len(webfaces))),
        ]
        weight = class_weights(ferplus.expression, ferplus.expression_weight)
    rigs = [i for i, rig in enumerate(RIGS) if mix.rig in ("both", rig)]
    if not rigs:
        raise ValueError(f"mix.rig must be both or one of {RIGS}, got {mix.rig!r}")
    if renders is not None:
        rendered, validation, columns = load_synthetic_images(renders)
        rendered = rendered.select(~validation & np.isin(columns["rig"], rigs))
        chance = au_balanced_weights(rendered.au, mix.rare_unit_power)
        sources.append(Source(_taught(rendered, teaching), mix.renders, chance))
    if wild:
        frames, chance = _wild_frames(mix, wild, rigs, teaching)
        sources.append(Source(frames, mix.wild, chance))
    if not sources:
        raise ValueError(
            "faces to train on were wanted, got none: give labels of real faces, renders or a RenderWild folder"
        )
    batches = BatchMaker(sources, mix.no_face, recipe.schedule.seed, recipe.jitter, mix.blend_share)
    return TrainLoop(recipe, batches, folder, weight)


def prepare_loop(loop: TrainLoop, resume: bool, start: str | None) -> None:
    """Go on with a saved run, or begin with a bundle's weights, or with chance; says which."""
    if resume and loop.resume():
        click.echo(f"resumed at step {loop.step}")
        return
    if resume:
        click.echo("nothing to resume, starting anew")
    if start is not None:
        loop.init_from_bundle(start)
        click.echo(f"begins with the weights of {start}")


def _taught(table: FaceTable, teaching: Teaching | None) -> FaceTable:
    return table if teaching is None else teaching.stills(table)


def _even(count: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.full(count, 1 / count)


def _wild_frames(
    mix: Mix, folders: Sequence[Path], rigs: list[int], teaching: Teaching | None
) -> tuple[FaceTable, NDArray[np.float64]]:
    """Frames of all folders, and how likely each is drawn, by its own labels."""
    tables, labels = [], []
    for folder in folders:
        own, shown, origins = load_renderwild_frames(folder)
        taught = own if teaching is None else teaching.frames(own, folder, origins)
        tables.append(taught.select(np.isin(shown, rigs)))
        labels.append(own.select(np.isin(shown, rigs)))
    # Chosen by the labels, so that a teacher changes targets and nothing else.
    awake = neutral_keep_mask(concat_tables(labels), NEUTRAL_LEFT_OUT)
    return concat_tables(tables).select(awake), au_balanced_weights(
        concat_tables(labels).au[awake], mix.rare_unit_power
    )

"""The default model's data, put together for the loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from faceaffect.labels import EXPRESSION_NAMES
from training.batches import BatchMaker, Source, balanced, lifted_units
from training.datasets.face_table import FaceTable, join_tables
from training.datasets.real_faces import load_ferplus, load_webfaces
from training.datasets.rendered_faces import RIGS, load_rendered
from training.datasets.wild_faces import load_wild, without_rest
from training.recipe import Recipe
from training.train_loop import TrainLoop, class_weights

NEUTRAL_LEFT_OUT = 0.5  # of RenderWild's neutral frames


def ferplus_parts(table: FaceTable, usage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Rows of FER+ Training to train on and to choose thresholds on (every 20th)."""
    training = np.flatnonzero(usage == "Training")
    return training[np.arange(len(training)) % 20 != 0], training[::20]


def open_loop(
    recipe: Recipe, folder: Path, shared: Path, labels: Path | None, renders: Path | None, wild: Sequence[Path] = ()
) -> TrainLoop:
    """The training loop over FER+ and the web faces (without `labels`: none), rendered stills and RenderWild, if given."""
    mix, sources = recipe.mix, []
    weight: Tensor = torch.ones(len(EXPRESSION_NAMES))
    if labels is not None:
        ferplus, _, usage = load_ferplus(shared, labels)
        ferplus = ferplus.pick(ferplus_parts(ferplus, usage)[0])
        webfaces, held_out = load_webfaces(shared, labels)
        webfaces = webfaces.pick(~held_out)
        sources = [
            Source(ferplus, mix.ferplus, balanced(ferplus.expression, mix.rare_power)),
            Source(webfaces, mix.webfaces, _even(len(webfaces))),
        ]
        weight = class_weights(ferplus.expression, ferplus.expression_weight)
    rigs = [i for i, rig in enumerate(RIGS) if mix.rig in ("both", rig)]
    if not rigs:
        raise ValueError(f"mix.rig must be both or one of {RIGS}, got {mix.rig!r}")
    if renders is not None:
        rendered, validation, columns = load_rendered(renders)
        rendered = rendered.pick(~validation & np.isin(columns["rig"], rigs))
        sources.append(Source(rendered, mix.renders, lifted_units(rendered.au, mix.rare_unit_power)))
    if wild:
        loaded = [load_wild(folder) for folder in wild]
        frames = join_tables([table.pick(np.isin(shown, rigs)) for table, shown in loaded])
        frames = without_rest(frames, NEUTRAL_LEFT_OUT)
        sources.append(Source(frames, mix.wild, lifted_units(frames.au, mix.rare_unit_power)))
    if not sources:
        raise ValueError("faces to train on were wanted, got none: give labels of real faces, renders or a RenderWild folder")
    batches = BatchMaker(sources, mix.no_face, recipe.schedule.seed, recipe.jitter, mix.blend_share)
    return TrainLoop(recipe, batches, folder, weight)


def _even(count: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.full(count, 1 / count)

"""Do action units learned on one face rig hold on another: trains on each rig alone and tests on
the one left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.torch import load_file

from faceaffect.geometry import TEMPLATE_SIZE_PX
from faceaffect.kernels.activations import sigmoid
from faceaffect.labels import AU_NAMES
from training import metrics
from training.datasets.face_table import concat_tables
from training.datasets.renderwild import load_renderwild
from training.datasets.synthetic_images import RIGS, in_threshold_half, load_synthetic_images
from training.default_model.build_trainer import DataPaths, build_default_trainer
from training.default_model.recipe import DefaultModelRecipe
from training.engine.checkpoint import EMA_FILE
from training.evaluation.calibration import choose_thresholds
from training.evaluation.network_runner import predict_faces
from training.models.affect_net import AffectNet
from training.synthesis.au_targets import APPROXIMATED_AUS

_PRESENT: Final = 0.5  # target, a half at the intensity where presence begins


def transfer(
    recipe: DefaultModelRecipe,
    folder: Path,
    shared: Path,
    labels: Path,
    renders: Path,
    wild: Sequence[Path] = (),
    base_steps: int = 0,
    people: Path | None = None,
) -> dict[str, Any]:
    """One run of `recipe` for each rig in `folder` (resumed where it stopped); F1 on new identities
    of both rigs.

    Thresholds come from half of the held-out identities of the rig that was learned, and from
    its validation people in a RenderWild `people`; nothing of the other rig is seen. With
    `base_steps` both runs begin with one network that has learned of images of people alone for
    so long. Means are of all units, and of those that both rigs have (`APPROXIMATED_AUS`).
    """
    base = folder / "base"
    if base_steps:
        run = replace(recipe, schedule=replace(recipe.schedule, steps=base_steps, small_until=1.0))
        loop = build_default_trainer(run, base, DataPaths(shared, labels))
        loop.resume()
        loop.run()
    figures: dict[str, Any] = {"base_steps": base_steps}
    for rig in RIGS:
        run = replace(recipe, mix=replace(recipe.mix, rig=rig))
        loop = build_default_trainer(run, folder / rig, DataPaths(shared, labels, renders, wild))
        if not loop.resume() and base_steps:
            loop.init_from_run(base)
        loop.run()
        net = AffectNet(run.net)
        net.load_state_dict(load_file(folder / rig / EMA_FILE))
        figures[rig] = _figures(net.eval(), rig, renders, _size_px(run), people)
    (folder / "transfer.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def _size_px(recipe: DefaultModelRecipe) -> int:
    """The crop size that a run ended with."""
    return recipe.schedule.small_px if recipe.schedule.small_until >= 1 else TEMPLATE_SIZE_PX


def _figures(
    net: AffectNet, learned: str, renders: Path, size_px: int, people: Path | None
) -> dict[str, Any]:
    table, held_out, columns = load_synthetic_images(renders)
    rig = columns["rig"].astype(np.int64)
    choose = in_threshold_half(columns) & (rig == RIGS.index(learned))
    judged = table.select(choose)
    if people is not None:
        frames, their_rig = load_renderwild(people, "Validation_Set")
        judged = concat_tables([judged, frames.select(their_rig == RIGS.index(learned))])
    thresholds = choose_thresholds(
        sigmoid(predict_faces(net, judged, size_px)[0]), judged.au >= _PRESENT, judged.au_weight > 0
    )
    truth = table.select(held_out)
    probability = sigmoid(predict_faces(net, truth, size_px)[0])
    result: dict[str, Any] = {"faces that chose thresholds": len(judged)}
    result["thresholds"] = dict(zip(AU_NAMES, thresholds, strict=True))
    for number, name in enumerate(RIGS):
        rows = (rig[held_out] == number) & ~choose[held_out]
        on, wanted = probability[rows] >= np.array(thresholds), truth.au[rows] >= _PRESENT
        seen = truth.au_weight[rows] > 0
        f1 = {
            au: metrics.f1(on[seen[:, k], k], wanted[seen[:, k], k])
            for k, au in enumerate(AU_NAMES)
            if seen[:, k].any()
        }
        of_both = [value for au, value in f1.items() if au not in APPROXIMATED_AUS]
        means = {
            "mean_f1": float(np.mean(list(f1.values()))),
            "mean_f1_of_units_of_both": float(np.mean(of_both)),
        }
        result[f"on {name}"] = {"faces": int(rows.sum()), "f1": f1, **means}
    return result

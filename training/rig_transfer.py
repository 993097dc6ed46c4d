"""Do action units learnt on one face rig hold on another: trains on each rig alone and tests on the one left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.torch import load_file

from faceaffect.decode import sigmoid
from faceaffect.geometry import TEMPLATE_SIZE_PX
from faceaffect.labels import AU_NAMES
from training import metrics
from training.datasets.rendered_faces import RIGS, load_rendered, of_threshold_half
from training.evaluation.net_reader import read
from training.models.affect_net import AffectNet
from training.recipe import Recipe
from training.train_default import open_loop
from training.train_loop import EMA_FILE

_PRESENT: Final = 0.5  # target, a half at the intensity where presence begins


def transfer(
    recipe: Recipe, folder: Path, shared: Path, labels: Path, renders: Path, wild: Sequence[Path] = (), base_steps: int = 0
) -> dict[str, Any]:
    """One run of `recipe` for each rig in `folder` (resumed where it stopped); F1 on new identities of both rigs.

    Thresholds come from half of the held-out identities of the rig that was learnt; nothing of the other rig is seen. With
    `base_steps` both runs begin with one network that has learnt of pictures of people alone for so long.
    """
    base = folder / "base"
    if base_steps:
        run = replace(recipe, schedule=replace(recipe.schedule, steps=base_steps, small_until=1.0))
        loop = open_loop(run, base, shared, labels, None)
        loop.resume()
        loop.run()
    figures: dict[str, Any] = {"base_steps": base_steps}
    for rig in RIGS:
        run = replace(recipe, mix=replace(recipe.mix, rig=rig))
        loop = open_loop(run, folder / rig, shared, labels, renders, wild)
        if not loop.resume() and base_steps:
            loop.begin_with_run(base)
        loop.run()
        net = AffectNet(run.net)
        net.load_state_dict(load_file(folder / rig / EMA_FILE))
        figures[rig] = _figures(net.eval(), rig, renders, _size_px(run))
    (folder / "transfer.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def _size_px(recipe: Recipe) -> int:
    """The crop size that a run ended with."""
    return recipe.schedule.small_px if recipe.schedule.small_until >= 1 else TEMPLATE_SIZE_PX


def _figures(net: AffectNet, learnt: str, renders: Path, size_px: int) -> dict[str, Any]:
    table, held_out, columns = load_rendered(renders)
    rig = columns["rig"].astype(np.int64)
    choose = of_threshold_half(columns) & (rig == RIGS.index(learnt))
    probability = sigmoid(read(net, table.pick(held_out), size_px)[0])
    chosen, truth = choose[held_out], table.pick(held_out)
    thresholds = [metrics.best_threshold(probability[chosen, k], truth.au[chosen, k] >= _PRESENT) for k in range(len(AU_NAMES))]
    result: dict[str, Any] = {"thresholds": dict(zip(AU_NAMES, thresholds, strict=True))}
    for number, name in enumerate(RIGS):
        rows = (rig[held_out] == number) & ~chosen
        known = truth.au_weight[rows].max(axis=0) > 0
        on, wanted = probability[rows] >= np.array(thresholds), truth.au[rows] >= _PRESENT
        f1 = {au: metrics.f1(on[:, k], wanted[:, k]) for k, au in enumerate(AU_NAMES) if known[k]}
        result[f"on {name}"] = {"faces": int(rows.sum()), "f1": f1, "mean_f1": float(np.mean(list(f1.values())))}
    return result

"""Cross-rig generalization: trains on each face rig alone and tests AUs on both."""

from __future__ import annotations

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
from training.datasets.synthetic_images import (
    RIGS,
    SyntheticFaces,
    in_threshold_half,
    load_synthetic_images,
)
from training.default_model.build_trainer import DataPaths, build_default_trainer
from training.default_model.recipe import DefaultModelRecipe
from training.engine.checkpoint import EMA_FILE, write_json
from training.evaluation.calibration import choose_thresholds
from training.evaluation.network_runner import predict_faces
from training.models.affect_net import AffectNet
from training.synthesis.au_targets import APPROXIMATED_AUS

_PRESENT: Final = 0.5  # soft AU target at the intensity of presence


def measure_cross_rig(
    recipe: DefaultModelRecipe,
    folder: Path,
    data: DataPaths,
    base_steps: int = 0,
    threshold_data: Path | None = None,
) -> dict[str, Any]:
    """Train one model for each rig in `folder` (resumed if stopped) and test it on both rigs.

    Thresholds are chosen on half of the held-out identities of the training rig, and on its
    validation people in the RenderWild `threshold_data`, without data of the other rig. With
    `base_steps` both runs start with one network trained on real faces for that many steps. Means
    are over all AUs, and over the AUs that both rigs have (all but `APPROXIMATED_AUS`).

    Returns:
        For each training rig its thresholds, and F1 on held-out identities by test rig.
    """
    assert data.synthetic_images is not None
    base = folder / "base"
    if base_steps:
        run = replace(recipe, schedule=replace(recipe.schedule, steps=base_steps, small_until=1.0))
        trainer = build_default_trainer(run, base, DataPaths(data.assets, data.labels))
        trainer.resume()
        trainer.run()
    results: dict[str, Any] = {"base_steps": base_steps}
    for rig in RIGS:
        run = replace(recipe, mix=replace(recipe.mix, rig=rig))
        trainer = build_default_trainer(run, folder / rig, data)
        if not trainer.resume() and base_steps:
            trainer.init_from_run(base)
        trainer.run()
        net = AffectNet(run.net)
        net.load_state_dict(load_file(folder / rig / EMA_FILE))
        faces = load_synthetic_images(data.synthetic_images)
        results[rig] = _test_on_rigs(net.eval(), rig, faces, _size_px(run), threshold_data)
    write_json(folder / "cross_rig.json", results)
    return results


def _size_px(recipe: DefaultModelRecipe) -> int:
    """Crop size of the last training steps."""
    return recipe.schedule.small_px if recipe.schedule.small_until >= 1 else TEMPLATE_SIZE_PX


def _test_on_rigs(
    net: AffectNet,
    training_rig: str,
    synthetic_faces: SyntheticFaces,
    size_px: int,
    threshold_data: Path | None,
) -> dict[str, Any]:
    table, held_out, columns = synthetic_faces
    rig = columns["rig"].astype(np.int64)
    is_threshold_face = in_threshold_half(columns) & (rig == RIGS.index(training_rig))
    threshold_faces = table.select(is_threshold_face)
    if threshold_data is not None:
        frames, frame_rig = load_renderwild(threshold_data, "Validation_Set")
        threshold_faces = concat_tables(
            [threshold_faces, frames.select(frame_rig == RIGS.index(training_rig))]
        )
    thresholds = choose_thresholds(
        sigmoid(predict_faces(net, threshold_faces, size_px)[0]),
        threshold_faces.au >= _PRESENT,
        threshold_faces.au_weight > 0,
    )
    truth = table.select(held_out)
    probability = sigmoid(predict_faces(net, truth, size_px)[0])
    tested_on: dict[str, Any] = {}
    for number, name in enumerate(RIGS):
        rows = (rig[held_out] == number) & ~is_threshold_face[held_out]
        is_active = probability[rows] >= np.array(thresholds)
        expected = truth.au[rows] >= _PRESENT
        is_labeled = truth.au_weight[rows] > 0
        f1 = {
            au: metrics.f1(is_active[is_labeled[:, k], k], expected[is_labeled[:, k], k])
            for k, au in enumerate(AU_NAMES)
            if is_labeled[:, k].any()
        }
        common = [value for au, value in f1.items() if au not in APPROXIMATED_AUS]
        means = {
            "mean_f1": float(np.mean(list(f1.values()))),
            "mean_f1_common_aus": float(np.mean(common)),
        }
        tested_on[name] = {"faces": int(rows.sum()), "f1": f1, **means}
    return {
        "threshold_faces": len(threshold_faces),
        "thresholds": dict(zip(AU_NAMES, thresholds, strict=True)),
        "tested_on": tested_on,
    }

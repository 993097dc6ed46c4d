from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from faceaffect.labels import AU_NAMES
from tests.training.default_model.synthetic_faces import SCHEDULE, TINY, tiny_trainer
from tests.training.evaluation.synthetic_data import write_synthetic_images
from training.ablations import cross_rig
from training.datasets.face_table import FaceTable
from training.datasets.synthetic_images import load_synthetic_images
from training.default_model.build_trainer import DataPaths
from training.default_model.recipe import DefaultModelRecipe
from training.engine.checkpoint import EMA_FILE
from training.engine.trainer import Trainer
from training.models.mean_shape import MEAN_SHAPE_PX
from training.synthesis.au_targets import APPROXIMATED_AUS

pytestmark = pytest.mark.train


SCHEDULES = replace(SCHEDULE, steps=2)


@pytest.fixture
def synthetic_images(tmp_path: Path) -> Path:
    """Rendered images of both rigs in turn, of held-out and other identities."""
    folder = write_synthetic_images(tmp_path / "renders", MEAN_SHAPE_PX + 24)
    with np.load(folder / "faces_0000.npz") as arrays:
        parts = dict(arrays)
    parts["rig"] = (np.arange(len(parts["image"])) % 2).astype(np.uint8)
    parts["image"][:, 0, 0] = (
        255 * parts["rig"][:, None]
    )  # lets the fake models below recognize the rig
    np.savez(folder / "faces_0000.npz", **parts)
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Calls that open a training run, with its initial weights; the data are synthetic."""
    calls: list[dict[str, Any]] = []

    def build(recipe: DefaultModelRecipe, folder: Path, data: DataPaths) -> Trainer:
        training = tiny_trainer(folder, recipe.schedule)
        call = {
            "folder": folder.name,
            "rig": recipe.mix.rig,
            "synthetic_images": data.synthetic_images,
            "steps": recipe.schedule.steps,
        }
        run = training.run

        def record_start() -> None:
            call["start"] = {
                name: value.clone() for name, value in training.net.state_dict().items()
            }
            run()

        training.run = record_start  # type: ignore[method-assign]
        calls.append(call)
        return training

    monkeypatch.setattr(cross_rig, "build_default_trainer", build)
    return calls


def predict_only_facs(net: object, table: FaceTable, size_px: int) -> tuple[Any, None]:
    """Predict the correct AUs for the first rig and their complement for the second."""
    wrong = table.images[:, 0, 0, 0] == 255
    return np.where((table.au >= 0.5) ^ wrong[:, None], 4.0, -4.0).astype(np.float32), None


def test_measure_cross_rig_with_base_starts_both_rigs_from_it(
    synthetic_images: Path,
    opened: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_rig, "predict_faces", predict_only_facs)
    out = tmp_path / "out"
    results = cross_rig.measure_cross_rig(
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        out,
        DataPaths(tmp_path, tmp_path, synthetic_images),
        base_steps=3,
    )
    assert [
        (call["folder"], call["rig"], call["synthetic_images"], call["steps"]) for call in opened
    ] == [
        ("base", "both", None, 3),
        ("facs", "facs", synthetic_images, 2),
        ("arkit", "arkit", synthetic_images, 2),
    ]
    base = load_file(out / "base" / EMA_FILE)
    for call in opened[1:]:
        assert all(torch.equal(call["start"][name], value) for name, value in base.items())
    assert not torch.equal(opened[0]["start"]["trunk.stem.0.weight"], base["trunk.stem.0.weight"])
    assert results["base_steps"] == 3
    assert results["facs"]["tested_on"]["facs"]["mean_f1"] == 1
    assert results["facs"]["tested_on"]["arkit"]["mean_f1"] < 0.2


def test_measure_cross_rig_without_base_trains_each_rig_once(
    synthetic_images: Path, opened: list[dict[str, Any]], tmp_path: Path
) -> None:
    results = cross_rig.measure_cross_rig(
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        tmp_path / "out",
        DataPaths(tmp_path, tmp_path, synthetic_images),
    )
    assert [call["folder"] for call in opened] == ["facs", "arkit"]
    assert set(results["arkit"]) == {"threshold_faces", "thresholds", "tested_on"}
    assert 0 <= results["arkit"]["tested_on"]["facs"]["mean_f1"] <= 1


def predict_all_but_approximated_aus(
    net: object, table: FaceTable, size_px: int
) -> tuple[Any, None]:
    wrong = np.array([au in APPROXIMATED_AUS for au in AU_NAMES])
    return np.where((table.au >= 0.5) ^ wrong, 4.0, -4.0).astype(np.float32), None


def test_measure_cross_rig_common_mean_excludes_approximated_aus(
    synthetic_images: Path,
    opened: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_rig, "predict_faces", predict_all_but_approximated_aus)
    results = cross_rig.measure_cross_rig(
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        tmp_path / "out",
        DataPaths(tmp_path, tmp_path, synthetic_images),
    )
    for training_rig in ("facs", "arkit"):
        for scores in results[training_rig]["tested_on"].values():
            assert scores["mean_f1_common_aus"] == 1
            assert scores["mean_f1"] < 1


def test_measure_cross_rig_with_validation_people_adds_threshold_faces(
    synthetic_images: Path,
    opened: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = load_synthetic_images(synthetic_images)[0]
    rigs = (np.arange(len(frames)) % 2).astype(np.int64)
    monkeypatch.setattr(cross_rig, "load_renderwild", lambda folder, split: (frames, rigs))
    recipe = DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES)
    data = DataPaths(tmp_path, tmp_path, synthetic_images)
    alone = cross_rig.measure_cross_rig(recipe, tmp_path / "alone", data)
    with_people = cross_rig.measure_cross_rig(
        recipe, tmp_path / "with_people", data, threshold_data=tmp_path
    )
    added = with_people["facs"]["threshold_faces"] - alone["facs"]["threshold_faces"]
    assert added == (rigs == 0).sum()

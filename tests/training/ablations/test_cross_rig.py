"""Runs of each rig alone: what they begin with, what they see, and figures of a network whose
answers are known.
"""

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
from training.ablations import cross_rig as rig_transfer
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
def renders(tmp_path: Path) -> Path:
    """Stills of both rigs, by turns of held-out and other people alike."""
    folder = write_synthetic_images(tmp_path / "renders", MEAN_SHAPE_PX + 24)
    with np.load(folder / "faces_0000.npz") as arrays:
        parts = dict(arrays)
    parts["rig"] = (np.arange(len(parts["image"])) % 2).astype(np.uint8)
    parts["image"][:, 0, 0] = 255 * parts["rig"][:, None]  # by which the readers below know it
    np.savez(folder / "faces_0000.npz", **parts)
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was opened for training, in order, and the weights at its start; the data are made up."""
    calls: list[dict[str, Any]] = []

    def build(recipe: DefaultModelRecipe, folder: Path, data: DataPaths) -> Trainer:
        training = tiny_trainer(folder, recipe.schedule)
        call = {
            "folder": folder.name,
            "rig": recipe.mix.rig,
            "renders": data.synthetic_images,
            "steps": recipe.schedule.steps,
        }
        run = training.run

        def noted() -> None:
            call["start"] = {
                name: value.clone() for name, value in training.net.state_dict().items()
            }
            run()

        training.run = noted  # type: ignore[method-assign]
        calls.append(call)
        return training

    monkeypatch.setattr(rig_transfer, "build_default_trainer", build)
    return calls


def knows_facs_alone(net: object, table: FaceTable, size_px: int) -> tuple[Any, None]:
    """Right about faces of the first rig, wrong about those of the second."""
    wrong = table.images[:, 0, 0, 0] == 255
    return np.where((table.au >= 0.5) ^ wrong[:, None], 4.0, -4.0).astype(np.float32), None


def test_both_rigs_begin_with_a_base_that_saw_no_render(
    renders: Path, opened: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig_transfer, "predict_faces", knows_facs_alone)
    out = tmp_path / "out"
    figures = rig_transfer.transfer(
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        out,
        tmp_path,
        tmp_path,
        renders,
        base_steps=3,
    )
    assert [(call["folder"], call["rig"], call["renders"], call["steps"]) for call in opened] == [
        ("base", "both", None, 3),
        ("facs", "facs", renders, 2),
        ("arkit", "arkit", renders, 2),
    ]
    base = load_file(out / "base" / EMA_FILE)
    for call in opened[1:]:
        assert all(torch.equal(call["start"][name], value) for name, value in base.items())
    assert not torch.equal(opened[0]["start"]["trunk.stem.0.weight"], base["trunk.stem.0.weight"])
    assert figures["base_steps"] == 3
    assert figures["facs"]["on facs"]["mean_f1"] == 1
    assert figures["facs"]["on arkit"]["mean_f1"] < 0.2


def test_without_a_base_both_begin_with_chance(
    renders: Path, opened: list[dict[str, Any]], tmp_path: Path
) -> None:
    figures = rig_transfer.transfer(
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        tmp_path / "out",
        tmp_path,
        tmp_path,
        renders,
    )
    assert [call["folder"] for call in opened] == ["facs", "arkit"]
    assert set(figures["arkit"]) == {
        "faces that chose thresholds",
        "thresholds",
        "on facs",
        "on arkit",
    }
    assert 0 <= figures["arkit"]["on facs"]["mean_f1"] <= 1


def knows_all_but_what_is_put_together(
    net: object, table: FaceTable, size_px: int
) -> tuple[Any, None]:
    wrong = np.array([au in APPROXIMATED_AUS for au in AU_NAMES])
    return np.where((table.au >= 0.5) ^ wrong, 4.0, -4.0).astype(np.float32), None


def test_a_unit_that_one_rig_lacks_is_left_out_of_the_second_mean(
    renders: Path, opened: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig_transfer, "predict_faces", knows_all_but_what_is_put_together)
    figures = rig_transfer.transfer(
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        tmp_path / "out",
        tmp_path,
        tmp_path,
        renders,
    )
    for learned in ("facs", "arkit"):
        for tested in ("on facs", "on arkit"):
            found = figures[learned][tested]
            assert found["mean_f1_of_units_of_both"] == 1
            assert found["mean_f1"] < 1


def test_validation_people_of_the_learned_rig_help_to_choose_thresholds(
    renders: Path, opened: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = load_synthetic_images(renders)[0]
    rigs = (np.arange(len(frames)) % 2).astype(np.int64)
    monkeypatch.setattr(rig_transfer, "load_renderwild", lambda folder, split: (frames, rigs))
    recipe, given = (
        DefaultModelRecipe("tiny", TINY, schedule=SCHEDULES),
        (tmp_path, tmp_path, renders),
    )
    alone = rig_transfer.transfer(recipe, tmp_path / "alone", *given)
    helped = rig_transfer.transfer(recipe, tmp_path / "helped", *given, people=tmp_path)
    name = "faces that chose thresholds"
    assert helped["facs"][name] - alone["facs"][name] == (rigs == 0).sum()

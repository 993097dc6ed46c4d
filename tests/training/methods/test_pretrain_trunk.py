"""`training pretrain`: a trunk of either kind learns, resumes, and its file is what networks begin
with.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.training.default_model.test_trainer import made_up_faces
from training.cli.methods import pretrain
from training.methods import pretrain_trunk
from training.methods.recipe_lookup import find_recipe
from training.methods.trainer import MethodLoop
from training.models.backbones.start_trunks import start_trunks
from training.models.networks.build_network import build_network

pytestmark = pytest.mark.train

FEW = (
    "--set",
    "size_px=32",
    "--set",
    "ferplus=6",
    "--set",
    "webfaces=3",
    "--set",
    "no_face=1",
    "--set",
    "epochs=1",
)


@pytest.fixture(autouse=True)
def _few_made_up_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = made_up_faces(20)
    usage = np.array(["Training"] * 16 + ["PublicTest"] * 4)
    monkeypatch.setattr(pretrain_trunk, "load_ferplus", lambda shared, labels: (faces, None, usage))
    monkeypatch.setattr(
        pretrain_trunk, "load_webfaces", lambda shared, labels: (faces, np.arange(20) < 4)
    )
    monkeypatch.setattr(pretrain_trunk, "_STEPS_PER_EPOCH", 3)
    whole = pretrain_trunk._Batches
    monkeypatch.setattr(pretrain_trunk, "_Batches", lambda maker, recipe: whole(maker, recipe, 3))


@pytest.mark.parametrize(
    ("trunk", "paper", "tensor"),
    [("small_resnet", "M3", "trunk.conv1.weight"), ("small_region", "M4", "region.0.conv.weight")],
)
def test_a_trunk_is_made_that_a_network_begins_with(
    trunk: str, paper: str, tensor: str, tmp_path: Path
) -> None:
    done = CliRunner().invoke(pretrain, ["--out", str(tmp_path), *FEW, "--set", f"trunk={trunk}"])
    assert done.exit_code == 0, done.output
    note = json.loads((tmp_path / "trunk.json").read_text(encoding="utf-8"))
    assert (note["trunk"], note["steps"]) == (trunk, 3)
    net = build_network(find_recipe(paper, "compact", ["net.size_px=64"]).net)
    before = net.state_dict()[tensor].clone()
    start_trunks(net, tmp_path / "trunk.safetensors")
    assert not torch.equal(net.state_dict()[tensor], before)


def test_a_folder_in_use_is_not_written_over_and_a_stopped_run_goes_on(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert CliRunner().invoke(pretrain, ["--out", str(whole), *FEW]).exit_code == 0
    again = CliRunner().invoke(pretrain, ["--out", str(whole), *FEW])
    assert again.exit_code == 1
    assert "holds a run already; add --resume or choose another --out" in again.output

    recipe = replace(
        pretrain_trunk.PretrainRecipe(), size_px=32, ferplus=6, webfaces=3, no_face=1, epochs=1
    )
    stopped: MethodLoop = pretrain_trunk.open_pretraining(recipe, parts, Path(), Path())
    stopped.run(until=2)
    went_on = CliRunner().invoke(pretrain, ["--out", str(parts), *FEW, "--resume"])
    assert went_on.exit_code == 0, went_on.output
    assert "resumed at step 2" in went_on.output
    assert (parts / "trunk.safetensors").read_bytes() == (whole / "trunk.safetensors").read_bytes()


def test_an_unknown_trunk_lists_what_there_is(tmp_path: Path) -> None:
    done = CliRunner().invoke(pretrain, ["--out", str(tmp_path), *FEW, "--set", "trunk=vgg"])
    assert done.exit_code == 1
    assert "expected a backbone among" in done.output

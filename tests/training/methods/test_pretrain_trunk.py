"""`training pretrain`: trains and resumes trunks of both kinds, which networks load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.training.default_model.synthetic_faces import synthetic_faces
from training.cli.methods import pretrain
from training.default_model import build_trainer
from training.methods.pretrain_trunk import PretrainRecipe, build_pretrainer
from training.methods.recipe_lookup import find_recipe
from training.models.backbones.start_trunks import start_trunks
from training.models.networks.build_network import build_network

pytestmark = pytest.mark.train

SMALL = {
    "size_px": 32,
    "ferplus": 6,
    "webfaces": 3,
    "no_face": 1,
    "epochs": 1,
    "steps_per_epoch": 3,
}
OVERRIDES = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture(autouse=True)
def _synthetic_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = synthetic_faces(20)
    usage = np.array(["Training"] * 16 + ["PublicTest"] * 4)
    held_out = np.arange(20) < 4
    monkeypatch.setattr(build_trainer, "load_ferplus", lambda assets, labels: (faces, None, usage))
    monkeypatch.setattr(build_trainer, "load_webfaces", lambda assets, labels: (faces, held_out))


@pytest.mark.parametrize(
    ("trunk", "paper", "tensor"),
    [("small_resnet", "M3", "trunk.conv1.weight"), ("small_region", "M4", "region.0.conv.weight")],
)
def test_pretrain_writes_trunk_that_network_loads(
    trunk: str, paper: str, tensor: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(
        pretrain, ["--out", str(tmp_path), *OVERRIDES, "--set", f"net={trunk}"]
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "trunk.json").read_text(encoding="utf-8"))
    assert (record["trunk"], record["steps"]) == (trunk, 3)
    net = build_network(find_recipe(paper, "compact", ["net.size_px=64"]).net)
    before = net.state_dict()[tensor].clone()
    start_trunks(net, tmp_path / "trunk.safetensors")
    assert not torch.equal(net.state_dict()[tensor], before)


def test_pretrain_refuses_folder_in_use_and_resumes_stopped_run(tmp_path: Path) -> None:
    uninterrupted, stopped = tmp_path / "uninterrupted", tmp_path / "stopped"
    assert CliRunner().invoke(pretrain, ["--out", str(uninterrupted), *OVERRIDES]).exit_code == 0
    again = CliRunner().invoke(pretrain, ["--out", str(uninterrupted), *OVERRIDES])
    assert again.exit_code == 1
    assert "holds a run already; add --resume or choose another --out" in again.output

    recipe = replace(PretrainRecipe(), **SMALL)
    build_pretrainer(recipe, stopped, Path(), Path()).run(stop_at=2)
    resumed = CliRunner().invoke(pretrain, ["--out", str(stopped), *OVERRIDES, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    assert "resumed at step 2" in resumed.output
    assert (stopped / "trunk.safetensors").read_bytes() == (
        uninterrupted / "trunk.safetensors"
    ).read_bytes()


def test_pretrain_with_unknown_trunk_lists_known_ones(tmp_path: Path) -> None:
    result = CliRunner().invoke(pretrain, ["--out", str(tmp_path), *OVERRIDES, "--set", "net=vgg"])
    assert result.exit_code == 1
    assert "expected a backbone among" in result.output

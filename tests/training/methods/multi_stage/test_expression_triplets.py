"""Triplets of M1's prior, from labels and from FEC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.methods.network_cases import SMALL
from tests.training.methods.synthetic_faces import synthetic_data
from training.engine.trainer import TrainerConfig
from training.losses.ranking import triplet
from training.methods.data import MethodData
from training.methods.multi_stage.expression_triplets import FecTriplets, TripletRows
from training.methods.multi_stage.identity_prior import train_with_identity_prior
from training.methods.recipe import MethodRecipe
from training.methods.recipe_lookup import find_recipe
from training.models.backbones.resnet import small_resnet

pytestmark = pytest.mark.train
DATA = synthetic_data({f"person{k}": 12 for k in range(6)}, size_px=48)


def recipe(*options: str) -> MethodRecipe:
    small = [*SMALL["prior_aided_streaming"], "batch=6", "epochs=1", "first_stage.batch=8"]
    return find_recipe("M1", "compact", [*small, *options])


def source(data: MethodData = DATA) -> TripletRows:
    return TripletRows(data.train, 8)


def test_triplet_loss_matches_formula() -> None:
    a, p, n = torch.randn(3, 5, 16).unbind()
    margin = torch.tensor([0.1, 0.2, 0.1, 0.2, 0.1])
    expected = 0.0
    for k in range(5):
        near = float(((a[k] - p[k]) ** 2).sum())
        for far in (((a[k] - n[k]) ** 2).sum(), ((p[k] - n[k]) ** 2).sum()):
            expected += max(0.0, near - float(far) + float(margin[k])) / 5
    assert float(triplet(a, p, n, margin)) == pytest.approx(expected, rel=1e-5)


def test_label_triplets_are_of_three_people_with_alike_pair_first() -> None:
    rows, margin = source().draw(np.random.default_rng(3))
    assert len(rows) == 8
    table = DATA.train
    groups = np.array(table.groups)[table.video][rows]
    assert all(len(set(row)) == 3 for row in groups.tolist())

    def distance(i: int, j: int) -> np.ndarray:
        first, second = rows[:, i], rows[:, j]
        au = np.abs(table.au[first] - table.au[second]).mean(axis=1)
        expression = table.expression[first] != table.expression[second]
        va = np.abs(table.va[first] - table.va[second]).mean(axis=1) / 2
        return (au + expression + va) / 3

    assert (distance(0, 1) < distance(0, 2)).all()
    assert (distance(0, 1) < distance(1, 2)).all()
    classes = [len(set(row)) for row in table.expression[rows].tolist()]
    assert margin.tolist() == pytest.approx([0.2 if count == 3 else 0.1 for count in classes])


def test_label_triplets_of_two_people_raise() -> None:
    two = replace(DATA, train=DATA.train.select(DATA.train.video < 2))
    with pytest.raises(ValueError, match="three people"):
        source(two)


def test_fec_triplets_put_odd_image_last(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name, value in (("a", 250), ("b", 20), ("c", 250)):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.png"), np.full((60, 60, 3), value, np.uint8))
    lines = []
    for odd, names in enumerate(("bac", "abc", "acb"), start=1):
        image = [f'"http://x/{name}.png",0.2,0.8,0.2,0.8' for name in names]
        lines.append(",".join([*image, "THREE_CLASS_TRIPLET", f"u,{odd},v,{odd},w,{odd}"]))
    path = tmp_path / "faceexp-comparison-data-train-public.csv"
    path.write_text("\n".join(lines))
    (batch,) = FecTriplets(path, recipe(), 9, seed=1, progress=False).get(0)
    assert batch["crops"].shape == (9, 3, 3, 48, 48)
    assert batch["crops"].mean(dim=(0, 2, 3, 4)).tolist() == pytest.approx(
        [250 / 255, 250 / 255, 20 / 255], abs=1e-3
    )
    assert batch["margin"].tolist() == pytest.approx([0.2] * 9)


def test_pretrained_identity_branch_is_never_trained(tmp_path: Path) -> None:
    torch.manual_seed(5)
    trunk = small_resnet()
    save_file(trunk.state_dict(), tmp_path / "trunk.safetensors")
    chosen = recipe("prior.identity=pretrained", f"trunk_weights={tmp_path}/trunk.safetensors")
    config = TrainerConfig(tmp_path / "run", steps=3)
    train_with_identity_prior(chosen, DATA, config)
    assert not (tmp_path / "run" / "identity").exists(), "people are not learned"
    trained = load_file(tmp_path / "run" / "weights.safetensors")
    triplets = load_file(tmp_path / "run" / "triplets" / "weights.safetensors")
    name = "trunk.conv1.weight"
    expected = trunk.state_dict()["conv1.weight"]
    assert torch.equal(trained[f"encoder.identity.{name}"], expected)
    assert torch.equal(triplets[f"encoder.identity.{name}"], expected)
    assert not torch.equal(triplets[f"encoder.face.{name}"], expected), "the face branch learns"
    assert not torch.equal(trained[f"encoder.face.{name}"], triplets[f"encoder.face.{name}"])

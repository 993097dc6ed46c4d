"""Recipes: descriptions, costs within two percent of the literature, and ability to learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from tests.training.methods.network_cases import VARIANTS, small_net, variant
from training.__main__ import main
from training.engine.optimizer import build_optimizer
from training.losses.ranking import pair_gauss, pair_hinge
from training.losses.total_loss import total_loss
from training.methods.costs import CostRow, cost_rows
from training.methods.recipe_lookup import RECIPES, find_recipe
from training.models.cost import on_meta, parameter_count
from training.models.encoders.au_attention import POINTS
from training.models.mean_shape import MEAN_SHAPE_PX
from training.models.networks.build_network import build_network
from training.models.networks.pairwise_intensity import PairwiseIntensity

pytestmark = pytest.mark.train
FOLDER = Path(__file__).parents[4] / "training" / "methods" / "recipes"


@pytest.fixture(scope="module")
def rows() -> list[CostRow]:
    return list(cost_rows())


def test_cost_rows_match_literature(rows: list[CostRow]) -> None:
    assert {row.paper for row in rows} == {f"M{i}" for i in range(1, 9)}
    differences = {(row.paper, row.part): row.differences() for row in rows}
    far = {
        row: values
        for row, values in differences.items()
        if any(d is not None and abs(d) > 0.02 for d in values)
    }
    assert far == {}


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_file_is_short_and_described(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 60
    recipe = find_recipe(name)
    assert recipe.paper == f"M{RECIPES.index(name) + 1}"
    assert find_recipe(recipe.paper.lower()) == recipe
    assert recipe.sentence.endswith(".")
    assert len(recipe.sentence) < 110


@pytest.mark.parametrize("name", RECIPES)
def test_compact_preset_is_small(name: str) -> None:
    compact, published = find_recipe(name, "compact"), find_recipe(name)
    assert compact.net.size_px <= 112
    assert type(compact.net) is type(published.net)
    counts = [
        parameter_count(on_meta(lambda r=r: build_network(r.net))) for r in (compact, published)
    ]
    assert counts[0] < 1.5e6 < counts[1] / 10


def test_list_recipes_prints_one_line_per_recipe() -> None:
    lines = CliRunner().invoke(main, ["list-recipes"]).output.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [name, f"M{i}"] for i, name in enumerate(RECIPES, start=1)
    ]


def test_model_cost_prints_every_row(rows: list[CostRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.methods.costs.cost_rows", lambda: iter(rows))
    output = CliRunner().invoke(main, ["model-cost"]).output
    assert all(row.part in output for row in rows)


def test_find_recipe_of_unknown_name_lists_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"unknown recipe 'M9', expected one of prior_aided_streaming \(M1\)"
    ):
        find_recipe("M9")
    with pytest.raises(ValueError, match=r"preset must be one of \['compact', 'published'\]"):
        find_recipe("M1", "tiny")


def labeled(net: torch.nn.Module, count: int) -> dict[str, torch.Tensor]:
    """Batch with all labels, of two kinds of samples that differ in images and audio."""
    torch.manual_seed(0)
    kind = torch.arange(count) % 2
    batch = {}
    for name, value in net.zeros(count).items():
        shift = kind.reshape(-1, *[1] * (value.ndim - 1)).float()
        batch[name] = torch.randn_like(value) * 0.5 + shift
    steps = batch["crops"].shape[1:2] if "crops" in batch and batch["crops"].ndim == 5 else ()
    for name, value in (("clip_real", 1), ("mel_index", 20)):
        if name in batch:
            batch[name] = torch.full_like(batch[name], value)
    lead = (count, *steps)
    over_time = kind.reshape(count, *[1] * len(steps)).expand(lead)
    batch |= {
        "au": over_time[..., None].expand(*lead, 12).float(),
        "expression": over_time.float() * 3,
        "va": (over_time[..., None] * torch.tensor([0.8, -0.6])).float(),
        "au_mask": torch.ones(*lead, 12),
        "expression_mask": torch.ones(lead),
        "va_mask": torch.ones(lead),
    }
    if not steps and "crops" in batch:
        side = batch["crops"].shape[-1]
        batch["landmarks_49"] = torch.from_numpy(MEAN_SHAPE_PX[list(POINTS)] * (side / 112)).expand(
            count, -1, -1
        )
        batch["landmarks_49_mask"] = torch.ones(count)
    return batch


@pytest.mark.parametrize(
    "name", [name for name in VARIANTS if name != "pairwise_intensity, direct"]
)
def test_variant_reduces_loss_and_reaches_all_parameters(name: str) -> None:
    """All trained parameters get a gradient, and a few steps reduce the loss on a batch."""
    net, recipe = variant(name).train(), find_recipe(VARIANTS[name][0], "compact")
    batch = labeled(net, 6)
    optimizer = build_optimizer(net, recipe.optimizer)
    reached: set[str] = set()
    losses = []
    for _ in range(6):
        parts = total_loss(recipe.losses, net(batch), batch)
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        reached |= {
            name
            for name, p in net.named_parameters()
            if p.grad is not None and float(p.grad.abs().max()) > 0
        }
        losses.append(float(parts["loss"].detach()))
    assert losses[-1] < losses[0]
    untrained = {name for name, p in net.named_parameters() if p.requires_grad} - reached
    assert not {each for each in untrained if not is_reached_in_other_stage(name, each)}, untrained


def is_reached_in_other_stage(case: str, parameter: str) -> bool:
    """Whether only another stage trains a parameter: outputs of the CNN alone in M8, AUs of frames
    in M2.
    """
    if case.startswith("multimodal_transformer") and parameter.startswith("frame_au."):
        return True
    return case == "multi_database" and parameter.startswith("heads.") and ".read." in parameter


def test_pair_hinge_orders_intensities() -> None:
    net = small_net("pairwise_intensity").train()
    assert isinstance(net, PairwiseIntensity)
    torch.manual_seed(0)
    low, high = torch.randn(6, 3, 32, 32), torch.randn(6, 3, 32, 32) + 0.5
    optimizer = torch.optim.Adam(net.networks()[0].parameters(), 1e-2)
    for _ in range(15):
        loss = pair_hinge(
            net({"crops": low})["intensity_raw"],
            net({"crops": high})["intensity_raw"],
            torch.ones(6, 12),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    first, second = net({"crops": low}), net({"crops": high})
    assert (second["intensity_raw"] > first["intensity_raw"]).float().mean() > 0.9
    arguments = (
        first["intensity_raw"],
        second["intensity_raw"],
        first["log_sigma"],
        second["log_sigma"],
    )
    assert torch.isfinite(pair_gauss(*arguments, torch.ones(6, 12)))


def test_total_loss_of_batch_without_labels_raises() -> None:
    net, recipe = small_net("incomplete_labels"), find_recipe("M3")
    batch = {"crops": torch.zeros(1, 3, 48, 48)}
    with pytest.raises(ValueError, match=r"no loss applies: expected \['au_logit against au'"):
        total_loss(recipe.losses, net(batch), batch)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from faceaffect.bundle.bundle import find_bundle
from training.ablations.default_model import pipeline_predictions
from training.ablations.full_ground_truth import read_full_ground_truth
from training.ablations.leaderboard_costs import COSTS, network_cost, read_costs, session_call
from training.datasets.read_crop import read_crop
from training.evaluation.bundle_runner import BundleRunner
from training.methods.recipe_lookup import find_recipe
from training.models.networks.build_network import build_network

REQUIRES = ("onnxruntime",)

pytestmark = pytest.mark.train


def test_network_cost_counts_macs_of_all_layers() -> None:
    options = ("net.size_px=48",)
    cost = network_cost("M3", options, frames=5)
    net = build_network(find_recipe("M3", "compact", list(options)).net).eval()
    macs = 0

    def count(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal macs
        macs += output.numel() * layer.weight[0].numel()  # type: ignore[index,operator]

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    net(net.zeros())
    assert cost.macs == macs
    assert cost.parameters == sum(value.numel() for value in net.parameters())
    assert cost.frame_ms > 0
    assert cost.audio_ms is None
    assert cost.size_px == 48


def test_session_call_matches_the_network() -> None:
    recipe = find_recipe("M6", "compact", ["net.size_px=64", "net.width=8"])
    torch.manual_seed(3)
    net = build_network(recipe.net).eval()
    (stage,) = net.stages()
    crops = torch.randn(1, 3, 64, 64)
    outputs = session_call((stage,))(stage, (crops,))
    with torch.no_grad():
        expected = net({"crops": crops})
    for form, value in zip(stage.outputs, outputs, strict=True):
        assert torch.allclose(value, expected[form.name], atol=1e-4)


def test_read_costs_without_file_returns_nothing(tmp_path: Path) -> None:
    assert read_costs(tmp_path) == ("", {})
    assert not (tmp_path / COSTS).exists()


@pytest.mark.shared
def test_pipeline_predictions_agree_with_the_network(
    renderwild_tiny: Path, tmp_path: Path, trained: None
) -> None:
    """The SDK realigns crops by predicted landmarks, so predictions are close, not equal."""
    truth = read_full_ground_truth(renderwild_tiny, tmp_path)
    table = truth.table.select(np.arange(0, len(truth), max(1, len(truth) // 40)))
    predictions = pipeline_predictions(table)
    runner = BundleRunner(find_bundle())
    crop = runner.spec.crop
    images = np.stack([read_crop(table, row, crop.size_px) for row in range(len(table))])
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (crop.mean, crop.std))
    direct = runner.affect(runner.heads(list((images - mean) / std)))
    assert predictions.expression is not None
    assert predictions.va is not None
    assert predictions.au is not None
    assert (
        predictions.expression.argmax(axis=1) == direct.expression_probability.argmax(axis=1)
    ).mean() > 0.7
    assert np.corrcoef(predictions.va[:, 0], direct.valence)[0, 1] > 0.8
    assert (predictions.au.astype(bool) == direct.au_active).mean() > 0.9
    assert set(np.unique(predictions.au)) == {0, 1}

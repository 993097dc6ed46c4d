"""What stands on the leaderboard beside the runs: costs, and the default model on the same frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
from torch import nn  # noqa: E402

from faceaffect.bundle import find_bundle  # noqa: E402
from faceaffect.pipeline import open_pipeline  # noqa: E402
from faceaffect.sources.read_picture import read_picture  # noqa: E402
from faceaffect.types import Frame  # noqa: E402
from training.evaluation.bundle_runner import BundleRunner  # noqa: E402
from training.experiments.board_costs import COSTS, board_cost, read_costs, session_call  # noqa: E402
from training.experiments.default_model import bundle_predictions  # noqa: E402
from training.experiments.whole_truth import read_whole_truth  # noqa: E402
from training.methods.find_recipe import find_recipe  # noqa: E402
from training.models.networks.build_network import build_network  # noqa: E402

pytestmark = pytest.mark.train


def test_costs_are_those_of_the_layers() -> None:
    options = ("net.size_px=48",)
    cost = board_cost("M3", options, frames=5)
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
    assert cost.sound_ms is None
    assert cost.size_px == 48


def test_what_is_timed_is_the_network() -> None:
    recipe = find_recipe("M6", "compact", ["net.size_px=64", "net.width=8"])
    torch.manual_seed(3)
    net = build_network(recipe.net).eval()
    (stage,) = net.stages()
    crops = torch.randn(1, 3, 64, 64)
    found = session_call((stage,))(stage, (crops,))
    with torch.no_grad():
        wanted = net({"crops": crops})
    for form, value in zip(stage.outputs, found, strict=True):
        assert torch.allclose(value, wanted[form.name], atol=1e-4)


def test_no_costs_are_no_figures(tmp_path: Path) -> None:
    assert read_costs(tmp_path) == ("", {})
    assert not (tmp_path / COSTS).exists()


@pytest.mark.shared
def test_the_default_model_says_what_the_pipeline_says(renderwild_tiny: Path, tmp_path: Path, trained: None) -> None:
    truth = read_whole_truth(renderwild_tiny, tmp_path)
    table = truth.table.pick(np.arange(0, len(truth), max(1, len(truth) // 6)))
    said = bundle_predictions(BundleRunner(find_bundle()), table)
    for row in range(len(table)):
        with open_pipeline(crops=True) as pipeline:  # anew for each picture: without memory nothing is smoothed
            pixels, layout = read_picture(Path(table.path[row].as_py()))
            _, affect = pipeline.analyse(Frame(pixels, layout, 0.0, 0, "a"))
        # The pipeline aligns a crop once more by the landmarks it finds, so figures are near and not the same.
        assert np.allclose(said.expression[row], affect.expression_probability[0], atol=0.15)  # type: ignore[index]
        assert np.allclose(said.va[row], [affect.valence[0], affect.arousal[0]], atol=0.15)  # type: ignore[index]
        assert (said.au[row].astype(bool) == affect.au_on[0]).mean() >= 10 / 12  # type: ignore[index]

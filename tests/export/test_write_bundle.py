"""The exported bundle of the default model: parity, shapes, size limit and cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from export import write_bundle as write_bundle_module
from export.check_parity import check_parity, exceeding_tolerance
from export.model_card import model_card
from export.write_bundle import write_bundle
from faceaffect.bundle.bundle import open_bundle
from faceaffect.bundle.model_spec import HEADS, SPEC_FILE, BundleError
from training.evaluation.bundle_runner import BundleRunner
from training.evaluation.cost_metrics import cost_metrics
from training.models.affect_net import AffectNet, NetConfig
from training.models.trunk import Stage, TrunkConfig

pytestmark = pytest.mark.train


REQUIRES = ("onnx",)

THRESHOLDS = (0.5,) * 12


@pytest.fixture(scope="module")
def net() -> AffectNet:
    torch.manual_seed(0)
    trunk = TrunkConfig(
        8, (Stage("residual", 8, 1), Stage("residual", 16, 1), Stage("residual", 24, 1))
    )
    return AffectNet(
        NetConfig(trunk, node_width=16, embed_width=24, place_channels=4, place_width=16)
    ).eval()


@pytest.fixture(scope="module")
def bundle(net: AffectNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(net, folder, "# card", THRESHOLDS)
    return folder


def test_exported_files_match_network(net, bundle):
    crops = np.random.default_rng(0).standard_normal((9, 3, 112, 112)).astype(np.float32)
    differences = check_parity(net, bundle, crops)
    assert differences.keys() == HEADS.keys() | {"au_logit"}
    assert not exceeding_tolerance(differences)
    assert exceeding_tolerance({"pose_deg": 1e-3, "va_raw": float("nan")}).keys() == {
        "pose_deg",
        "va_raw",
    }


@pytest.mark.parametrize("count", [1, 3])
def test_bundle_heads_have_specified_shapes(bundle, count):
    runner = BundleRunner(bundle)
    heads = runner.heads(np.zeros((count, 3, 112, 112), np.float32))
    for name, shape in HEADS.items():
        expected = tuple(16 if side == "D" else side for side in shape)
        assert heads[name].shape == (count, *expected), name
    assert runner.affect(heads).au_probability.shape == (count, 12)


def test_open_bundle_with_changed_file_raises(net, tmp_path):
    write_bundle(net, tmp_path, "# card", THRESHOLDS)
    open_bundle(tmp_path)
    graph = tmp_path / "graph.safetensors"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleError):
        open_bundle(tmp_path)


def test_write_bundle_over_size_limit_raises(net, tmp_path, monkeypatch):
    monkeypatch.setattr(write_bundle_module, "MAX_BUNDLE_BYTES", 1000)
    with pytest.raises(ValueError, match="at most 1000 bytes"):
        write_bundle(net, tmp_path, "", THRESHOLDS)
    assert not (tmp_path / SPEC_FILE).exists()


def test_cost_metrics_count_parameters_and_macs(net, bundle):
    cost = cost_metrics(BundleRunner(bundle), runs=3)
    floats = [
        p for name, p in net.state_dict().items() if p.is_floating_point() and "running" not in name
    ]
    assert cost["parameters"] == pytest.approx(sum(p.numel() for p in floats), rel=0.1)
    assert 1 < cost["mmacs"] < 20


def test_model_card_states_mapping_and_image_rights():
    for with_synthetic_images in (False, True):
        card = model_card({}, with_synthetic_images)
        assert "only a mapping" in card
        assert "unresolved" in card
        assert ("MakeHuman" in card) == with_synthetic_images
    assert "no direct labels" in model_card({}, False)

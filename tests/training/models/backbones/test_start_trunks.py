"""Loading of pretrained trunks by all compact networks with an image trunk."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.methods.recipe_lookup import find_recipe
from training.models.backbones.load_weights import WeightsError
from training.models.backbones.region_trunk import RegionTrunk
from training.models.backbones.resnet import small_resnet
from training.models.backbones.start_trunks import start_trunks
from training.models.networks.build_network import build_network

pytestmark = pytest.mark.train

PAPERS = ("M1", "M2", "M3", "M5", "M6", "M7", "M8")  # M4 has a region trunk


@pytest.fixture(scope="module")
def trunk_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("trunk") / "trunk.safetensors"
    save_file(small_resnet().state_dict(), path)
    return path


@pytest.mark.parametrize("paper", PAPERS)
def test_start_trunks_loads_trunk_of_each_compact_network(paper: str, trunk_file: Path) -> None:
    net = build_network(find_recipe(paper, "compact").net)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    reports = start_trunks(net, trunk_file)
    torch.manual_seed(3)
    expected = small_resnet().state_dict()
    changed = {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed
    for trunk, report in reports.items():
        assert not report.missing
        loaded = net.get_submodule(trunk).state_dict()
        for name, value in expected.items():
            if value.is_floating_point():
                is_widened = loaded[name].shape != value.shape
                actual = loaded[name][:, :3] if is_widened else loaded[name]
                assert torch.equal(actual, value), name
        changed = {name for name in changed if not name.startswith(f"{trunk}.")}
    assert not changed


def test_start_trunks_zeroes_part_mask_channel(trunk_file: Path) -> None:
    net = build_network(find_recipe("M5", "compact").net)
    start_trunks(net, trunk_file)
    assert net.get_submodule("video").conv1.weight[:, 3].abs().max() == 0


def test_start_trunks_copies_region_trunk_into_all_blocks(tmp_path: Path) -> None:
    torch.manual_seed(4)
    trunk = RegionTrunk()
    save_file(trunk.state_dict(), tmp_path / "trunk.safetensors")
    net = build_network(find_recipe("M4", "compact", ["net.size_px=64"]).net).eval()
    report = start_trunks(net, tmp_path / "trunk.safetensors")[""]
    assert not report.unexpected
    assert not report.misshapen
    crops = torch.randn(2, 3, 64, 64)
    region = trunk.eval().region(crops)
    expected = trunk.block(region)
    assert torch.equal(net.region(crops), region)
    for block in (net.align, net.whole):
        assert torch.equal(block(region), expected)
    each = net.local(region.repeat(1, 12, 1, 1)).unflatten(1, (12, -1))
    torch.testing.assert_close(
        each, expected[:, None].expand(-1, 12, -1, -1, -1), rtol=1e-5, atol=1e-5
    )


def test_start_trunks_of_mismatched_names_warns(trunk_file: Path, tmp_path: Path) -> None:
    state = load_file(trunk_file)
    state["fc.weight"] = state.pop("conv1.weight")
    save_file(state, tmp_path / "other.safetensors")
    net = build_network(find_recipe("M3", "compact").net)
    message = (
        r"other.safetensors into trunk: \d+ tensors loaded; 1 missing: conv1.weight; "
        "1 unexpected: fc.weight"
    )
    with pytest.warns(UserWarning, match=message):
        start_trunks(net, tmp_path / "other.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start_trunks(net, trunk_file)


def test_start_trunks_without_matching_trunk_raises(trunk_file: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="fits none of the network's trunks"):
        start_trunks(build_network(find_recipe("M4", "compact").net), trunk_file)
    save_file(RegionTrunk().state_dict(), tmp_path / "region.safetensors")
    with pytest.raises(WeightsError, match="fits none of the network's trunks"):
        start_trunks(
            build_network(find_recipe("M3", "compact").net), tmp_path / "region.safetensors"
        )


def test_start_trunks_takes_a_file_for_each_named_trunk(tmp_path: Path) -> None:
    files = {}
    for seed, name in enumerate(("face", "identity")):
        torch.manual_seed(seed)
        save_file(small_resnet().state_dict(), tmp_path / f"{name}.safetensors")
        files[name] = load_file(tmp_path / f"{name}.safetensors")
    net = build_network(find_recipe("M1", "compact").net)
    names = {name: f"encoder.{name}.trunk" for name in files}
    start_trunks(net, ",".join(f"{names[n]}={tmp_path}/{n}.safetensors" for n in files))
    for name, weights in files.items():
        loaded = net.get_submodule(names[name]).state_dict()
        assert torch.equal(loaded["conv1.weight"], weights["conv1.weight"])
    with pytest.raises(WeightsError, match=r"no trunk 'eye'; expected one of encoder\.face\.trunk"):
        start_trunks(net, f"eye={tmp_path}/face.safetensors")

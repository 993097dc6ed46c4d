"""Published weights under their own names load into every parameter of the backbones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.models.backbones.build_backbone import build_backbone
from training.models.backbones.load_weights import copy_weights
from training.models.backbones.public_names import read_public_weights

pytestmark = pytest.mark.train

BLOCKS = (3, 4, 6, 3)
SHAPES = {"1x1_reduce": "conv1", "3x3": "conv2", "1x1_increase": "conv3"}


def dag_names() -> list[tuple[str, str]]:
    """Layer names of resnet50_ferplus_dag.pth and the module of the same layer here."""
    layers = [("conv1_7x7_s2", "conv1"), ("conv1_7x7_s2_bn", "bn1")]
    for stage, blocks in enumerate(BLOCKS, start=2):
        for block in range(1, blocks + 1):
            here = f"layer{stage - 1}.{block - 1}"
            for part, conv in SHAPES.items():
                layer = f"conv{stage}_{block}_{part}"
                layers += [(layer, f"{here}.{conv}"), (f"{layer}_bn", f"{here}.bn{conv[-1]}")]
        layers.append((f"conv{stage}_1_1x1_proj", f"layer{stage - 1}.0.downsample.0"))
        layers.append((f"conv{stage}_1_1x1_proj_bn", f"layer{stage - 1}.0.downsample.1"))
    return layers


def test_read_public_weights_of_matconvnet_resnet_fill_the_trunk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source, target = build_backbone("resnet50"), build_backbone("resnet50")
    state = source.state_dict()
    public = {
        f"{public}.{name[len(here) + 1 :]}": value
        for public, here in dag_names()
        for name, value in state.items()
        if name.startswith(f"{here}.") and "." not in name[len(here) + 1 :]
    }
    public["classifier.weight"] = torch.zeros(8, 2048, 1, 1)
    torch.save(public, tmp_path / "resnet50_ferplus_dag.pth")
    report = copy_weights(target, read_public_weights(tmp_path / "resnet50_ferplus_dag.pth"))
    assert report.missing == ()
    assert report.unexpected == ("classifier.weight",)
    for name, value in target.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, state[name]), name

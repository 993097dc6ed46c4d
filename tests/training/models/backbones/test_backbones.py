"""Backbones compared with public ones: parameter counts and digests of state dicts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch

from tests.training.models.measure_cost import measure_cost
from training.models.backbones.build_backbone import BACKBONES, build_backbone, width_of
from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.backbones.ir_se50 import IrSe50
from training.models.backbones.iresnet import IResNet
from training.models.backbones.mobilefacenet import MobileFaceNet
from training.models.backbones.r2plus1d import R2Plus1d18
from training.models.backbones.resnet import resnet18, resnet50
from training.models.backbones.vgg import Vgg16
from training.models.cost import on_meta

pytestmark = pytest.mark.train

# Computed from torchvision 0.29.2 and facenet-pytorch 2.6.0; outputs on random weights are also
# bit-identical.
PUBLIC = {
    "resnet18": (lambda: resnet18(classes=1000), 11_689_512, "5191d63ec3989592"),
    "resnet50": (lambda: resnet50(classes=1000), 25_557_032, "a87e91cd6bd1f939"),
    "vgg16": (Vgg16, 138_357_544, "ba63c2556d912509"),
    "r2plus1d_18": (lambda: R2Plus1d18(classes=400), 31_505_325, "4be63f9053df0eaa"),
    "inception_resnet_v1": (InceptionResnetV1, 23_482_624, "c0638fa983a7cf51"),
}


def digest(net: torch.nn.Module) -> str:
    rows = sorted(f"{name} {tuple(value.shape)}" for name, value in net.state_dict().items())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", PUBLIC)
def test_backbone_names_and_shapes_match_public_weights(name: str) -> None:
    build, count, names = PUBLIC[name]
    net = on_meta(build)
    assert sum(p.numel() for p in net.parameters()) == count
    assert digest(net) == names


@pytest.mark.parametrize(
    ("build", "shape", "parameters", "gmacs"),
    [  # counts and multiply-accumulates at the published input size, from the literature
        (IResNet, (1, 3, 112, 112), 65_156_160, 12.09),
        (IrSe50, (1, 3, 112, 112), 43_797_696, 6.30),
        (MobileFaceNet, (1, 3, 112, 112), 1_200_512, 0.221),
        (InceptionResnetV1, (1, 3, 224, 224), 23_482_624, 3.14),
        (resnet50, (1, 3, 112, 112), 25_557_032 - 2_049_000, 1.08),
        (lambda: R2Plus1d18(inputs=4), (1, 4, 8, 112, 112), 31_505_325 - 205_200 + 45 * 49, 20.3),
    ],
)
def test_backbone_cost_matches_literature(
    build: Callable[[], torch.nn.Module], shape: tuple[int, ...], parameters: int, gmacs: float
) -> None:
    counted, macs = measure_cost(build, shape)
    assert counted == parameters
    assert macs / 1e9 == pytest.approx(gmacs, rel=0.01)


def test_backbone_names_match_face_recognition_weights() -> None:
    """Sample names of the public files."""
    names = {
        IResNet: (
            "prelu.weight",
            "layer1.0.downsample.1.running_var",
            "layer3.29.bn3.bias",
            "fc.weight",
            "features.bias",
        ),
        IrSe50: (
            "input_layer.2.weight",
            "body.3.shortcut_layer.0.weight",
            "body.23.res_layer.5.fc2.weight",
            "output_layer.3.bias",
            "output_layer.4.running_mean",
        ),
        MobileFaceNet: (
            "conv_3.model.3.conv_dw.prelu.weight",
            "conv_45.project.bn.bias",
            "conv_6_dw.conv.weight",
            "linear.weight",
            "bn.running_var",
        ),
    }
    for build, expected in names.items():
        assert not set(expected) - on_meta(build).state_dict().keys()


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_width_is_output_length(name: str) -> None:
    net = on_meta(lambda: build_backbone(name))
    assert net(torch.zeros(2, 3, 112, 112, device="meta")).shape == (2, width_of(net))


def test_build_backbone_with_unknown_name_lists_names() -> None:
    with pytest.raises(ValueError, match=r"'resnet50'.*got 'resnet'"):
        build_backbone("resnet")

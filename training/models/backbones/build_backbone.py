"""Registry of the image backbones by their names in a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import nn

from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.backbones.ir_se50 import IrSe50
from training.models.backbones.iresnet import IResNet
from training.models.backbones.mobilefacenet import MobileFaceNet
from training.models.backbones.region_trunk import RegionTrunk
from training.models.backbones.resnet import resnet18, resnet50, small_resnet

BACKBONES: Final[dict[str, Callable[[], nn.Module]]] = {
    "inception_resnet_v1": InceptionResnetV1,
    "iresnet100": IResNet,
    "ir_se50": IrSe50,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "mobilefacenet": MobileFaceNet,
    "small_resnet": small_resnet,
    "small_region": RegionTrunk,
}
"""Modules from [N, 3, S, S] to [N, width]; iResNet-100, IR-SE50 and MobileFaceNet need S = 112."""


def build_backbone(name: str) -> nn.Module:
    """Backbone with random weights; ValueError for an unknown name."""
    if name not in BACKBONES:
        raise ValueError(f"expected a backbone among {sorted(BACKBONES)}, got {name!r}")
    return BACKBONES[name]()


def width_of(backbone: nn.Module) -> int:
    """Number of features of a backbone."""
    width = backbone.width
    assert isinstance(width, int)
    return width

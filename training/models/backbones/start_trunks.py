"""Pretrained weights into the image trunks of a network, wherever it holds one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from training.models.backbones.inception_resnet_v1 import InceptionResnetV1
from training.models.backbones.ir_se50 import IrSe50
from training.models.backbones.iresnet import IResNet
from training.models.backbones.load_weights import (
    LoadReport,
    WeightsError,
    copy_weights,
    read_weights,
)
from training.models.backbones.mobilefacenet import MobileFaceNet
from training.models.backbones.r2plus1d import R2Plus1d18
from training.models.backbones.region_trunk import REGION, TakesRegionTrunk
from training.models.backbones.resnet import ResNet
from training.models.backbones.vgg import Vgg16

TRUNKS = (InceptionResnetV1, IrSe50, IResNet, MobileFaceNet, ResNet, R2Plus1d18, Vgg16)
_COLORS = 3


def start_trunks(net: nn.Module, path: Path) -> dict[str, LoadReport]:
    """Copy the weights of `path` into every trunk of `net` that looks at images; says what became
    of each, by its name.

    A first convolution with channels beside red, green and blue takes the colors' weights and 0
    for the others, so that it begins by looking at the image alone. A network of region layers
    takes a region trunk. Names that are missing, left over or of another shape are told in a
    warning. Raises WeightsError where there is no trunk, or the file fits none.
    """
    given = read_weights(path)
    if isinstance(net, TakesRegionTrunk) and is_region_trunk(given):
        return {"": copy_weights(net, net.of_region_trunk(given))}
    reports = {name: copy_weights(trunk, _widened(trunk, given)) for name, trunk in _trunks(net)}
    fitting = {name: report for name, report in reports.items() if report.loaded}
    if not fitting:
        raise WeightsError(
            f"{path} fits none of the network's trunks: {', '.join(reports) or 'it has none'}"
        )
    for name, report in fitting.items():
        if report.missing or report.unexpected or report.misshapen:
            warnings.warn(f"{path.name} into {name}: {report}", stacklevel=2)
    return fitting


def is_region_trunk(names: Iterable[str]) -> bool:
    """Whether weights of these names are those of a `RegionTrunk`."""
    return any(name.startswith(f"{REGION}.") for name in names)


def _trunks(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, part in net.named_modules():
        if isinstance(part, TRUNKS) and _first_convolution(part).in_channels >= _COLORS:
            yield name, part


def _first_convolution(trunk: nn.Module) -> nn.Conv2d | nn.Conv3d:
    return next(part for part in trunk.modules() if isinstance(part, nn.Conv2d | nn.Conv3d))


def _widened(trunk: nn.Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights with a first convolution as wide as the trunk's."""
    first = _first_convolution(trunk).weight
    name = next(name for name, value in trunk.named_parameters() if value is first)
    weight = given.get(name)
    if (
        weight is None
        or weight.ndim != first.ndim
        or weight.shape[1] != _COLORS
        or first.shape[1] == _COLORS
    ):
        return given
    more = torch.zeros(
        weight.shape[0], first.shape[1] - _COLORS, *weight.shape[2:], dtype=weight.dtype
    )
    return given | {name: torch.cat([weight, more], dim=1)}

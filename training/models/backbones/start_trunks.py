"""Loads pretrained weights into all image trunks of a network."""

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
)
from training.models.backbones.mobilefacenet import MobileFaceNet
from training.models.backbones.public_names import TakesPublicNetwork, read_public_weights
from training.models.backbones.r2plus1d import R2Plus1d18
from training.models.backbones.region_trunk import REGION, TakesRegionTrunk
from training.models.backbones.resnet import ResNet
from training.models.backbones.vgg import Vgg16

TRUNKS = (InceptionResnetV1, IrSe50, IResNet, MobileFaceNet, ResNet, R2Plus1d18, Vgg16)
_COLORS = 3


def start_trunks(net: nn.Module, files: str | Path) -> dict[str, LoadReport]:
    """Copy weights into the image trunks of `net`: of one file into all that it fits, or of
    NAME=FILE,NAME=FILE into the trunks of these names.

    A first convolution with more channels than red, green and blue gets weights of 0 for them, so
    that the trunk starts from the image alone. A network of region layers needs a region trunk.
    Names that are missing, unexpected or misshapen are named in a warning.

    Returns:
        A report for each trunk, by its name.

    Raises:
        WeightsError: The network has no trunk of a name, or a file fits none.
    """
    if "=" not in str(files):
        return _start(net, Path(files), dict(_trunks(net)))
    reports: dict[str, LoadReport] = {}
    trunks = dict(_trunks(net))
    for item in str(files).split(","):
        name, _, path = item.partition("=")
        if name not in trunks:
            raise WeightsError(
                f"the network has no trunk {name!r}; expected one of {', '.join(trunks)}"
            )
        reports |= _start(net, Path(path), {name: trunks[name]})
    return reports


def _start(net: nn.Module, path: Path, trunks: dict[str, nn.Module]) -> dict[str, LoadReport]:
    weights = read_public_weights(path)
    if isinstance(net, TakesRegionTrunk) and is_region_trunk(weights):
        return {"": copy_weights(net, net.from_region_trunk(weights))}
    if isinstance(net, TakesPublicNetwork) and (own := net.from_public(weights)) is not None:
        report = copy_weights(net, own)
        if report.misshapen:
            raise WeightsError(
                f"{path} fits the published preset only: {len(report.misshapen)} of its tensors "
                "have other shapes than the network's"
            )
        return {"": report}
    reports = {
        name: copy_weights(trunk, _widened(trunk, weights)) for name, trunk in trunks.items()
    }
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


def _widened(trunk: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the first convolution padded to the input channels of the trunk."""
    first = _first_convolution(trunk).weight
    name = next(name for name, value in trunk.named_parameters() if value is first)
    weight = weights.get(name)
    if (
        weight is None
        or weight.ndim != first.ndim
        or weight.shape[1] != _COLORS
        or first.shape[1] == _COLORS
    ):
        return weights
    more = torch.zeros(
        weight.shape[0], first.shape[1] - _COLORS, *weight.shape[2:], dtype=weight.dtype
    )
    return weights | {name: torch.cat([weight, more], dim=1)}

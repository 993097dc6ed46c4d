"""The image trunk of attention networks: two region layers and one feature block (JAA-Net, Shao et
al. 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from torch import Tensor, nn

from training.models.encoders.patch_conv import RegionLayer

REGION: Final = "region"
BLOCK: Final = "block"


def region_layers(unit: int) -> nn.Sequential:
    """[N, 3, S, S] -> [N, 8 unit, S / 4, S / 4]; S must divide by 16."""
    return nn.Sequential(
        RegionLayer(3, 4 * unit),
        nn.MaxPool2d(2, 2),
        RegionLayer(4 * unit, 8 * unit),
        nn.MaxPool2d(2, 2),
    )


def feature_block(inputs: int, unit: int, groups: int = 1) -> nn.Sequential:
    """Three times two 3x3 convolutions and a max pooling, `groups` of them beside each other."""
    layers: list[nn.Module] = []
    for width in (12 * unit, 16 * unit, 20 * unit):
        for _ in range(2):
            layers += [nn.Conv2d(groups * inputs, groups * width, 3, padding=1, groups=groups),
                       nn.BatchNorm2d(groups * width), nn.ReLU()]  # fmt: skip
            inputs = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


class RegionTrunk(nn.Module):
    """[N, 3, S, S] -> [N, 20 unit], the mean over the cells: what an attention network can learn
    before it has attention.
    """

    def __init__(self, unit: int = 2) -> None:
        super().__init__()
        self.region = region_layers(unit)
        self.block = feature_block(8 * unit, unit)
        self.width = 20 * unit
        start_convolutions(self)

    def forward(self, crops: Tensor) -> Tensor:
        features: Tensor = self.block(self.region(crops))
        return features.mean(dim=(2, 3))


@runtime_checkable
class TakesRegionTrunk(Protocol):
    """A network that begins several of its parts with one region trunk."""

    def of_region_trunk(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The network's own names and tensors out of those of a `RegionTrunk`."""
        ...


def start_convolutions(net: nn.Module) -> None:
    """Kaiming's start for every convolution."""
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def copies(given: Mapping[str, Tensor], name: str, count: int = 1) -> dict[str, Tensor]:
    """The trunk's block as the part `name`; for a grouped block `count` copies of it beside each
    other.
    """
    found = {}
    for key, value in given.items():
        if key.startswith(f"{BLOCK}."):
            found[f"{name}{key.removeprefix(BLOCK)}"] = (
                value.repeat(count, *[1] * (value.ndim - 1)) if value.ndim else value
            )
    return found

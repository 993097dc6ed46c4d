"""Image trunk of attention networks: two region layers and a feature block (JAA-Net, Shao et al.
2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

from torch import Tensor, nn

from training.models.backbones.resnet import init_convolutions
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
    """Three times two 3x3 convolutions and a max pooling, in `groups` parallel groups."""
    layers: list[nn.Module] = []
    for width in (12 * unit, 16 * unit, 20 * unit):
        for _ in range(2):
            layers += [
                nn.Conv2d(groups * inputs, groups * width, 3, padding=1, groups=groups),
                nn.BatchNorm2d(groups * width),
                nn.ReLU(),
            ]
            inputs = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


class RegionTrunk(nn.Module):
    """[N, 3, S, S] -> [N, 20 unit], averaged over the cells.

    The part of an attention network that can be pretrained without attention.
    """

    def __init__(self, unit: int = 2) -> None:
        super().__init__()
        self.region = region_layers(unit)
        self.block = feature_block(8 * unit, unit)
        self.width = 20 * unit
        init_convolutions(self)

    def forward(self, crops: Tensor) -> Tensor:
        features: Tensor = self.block(self.region(crops))
        return features.mean(dim=(2, 3))


@runtime_checkable
class TakesRegionTrunk(Protocol):
    """Network that initializes several of its parts from one region trunk."""

    def from_region_trunk(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map weights of a `RegionTrunk` to the names and tensors of this network."""
        ...


def block_copies(weights: Mapping[str, Tensor], name: str, count: int = 1) -> dict[str, Tensor]:
    """Weights of the trunk's block as `name`, repeated `count` times for a grouped block."""
    renamed = {}
    for key, value in weights.items():
        if key.startswith(f"{BLOCK}."):
            renamed[f"{name}{key.removeprefix(BLOCK)}"] = (
                value.repeat(count, *[1] * (value.ndim - 1)) if value.ndim else value
            )
    return renamed

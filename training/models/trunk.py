"""Convolutional trunk with two feature maps, 14 x 14 and 7 x 7 at 112 px."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from training.models.backbones.resnet import init_convolutions


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one kind at one resolution; the first of them has the stride.

    `residual`: two dense 3x3. `inverted`: 1x1 up, depthwise 3x3, 1x1 down (MobileNetV2).
    `fused`: dense 3x3 up, 1x1 down (EfficientNetV2's fused block). `expand` is the width
    between, relative to the output.
    """

    block: str
    channels: int
    depth: int
    stride: int = 2
    expand: float = 1.0


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """A stem of stride 2 and stages; the last two stages output the feature maps."""

    stem: int
    stages: tuple[Stage, ...]


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Module:
    """Convolution, batch normalization and, by default, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Block(nn.Module):
    """A residual branch of two or three convolutions, with a shortcut where shapes allow."""

    def __init__(self, kind: str, inputs: int, outputs: int, stride: int, expand: float) -> None:
        super().__init__()
        width = round(outputs * expand / 8) * 8
        if kind not in _BRANCHES:
            raise ValueError(f"block must be one of {sorted(_BRANCHES)}, got {kind!r}")
        self.branch = _BRANCHES[kind](inputs, width, outputs, stride)
        self.add = stride == 1 and inputs == outputs
        # A linear bottleneck stays linear (MobileNetV2); dense blocks end in ReLU after the sum.
        self.activate = nn.ReLU(inplace=True) if kind == "residual" else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        branch = self.branch(features)
        output: Tensor = self.activate(features + branch if self.add else branch)
        return output


def _residual(inputs: int, width: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(conv(inputs, width, 3, stride), conv(width, outputs, 3, relu=False))


def _inverted(inputs: int, width: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        conv(inputs, width, 1),
        conv(width, width, 3, stride, groups=width),
        conv(width, outputs, 1, relu=False),
    )


def _fused(inputs: int, width: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(conv(inputs, width, 3, stride), conv(width, outputs, 1, relu=False))


_BRANCHES: Final = {"residual": _residual, "inverted": _inverted, "fused": _fused}


class Trunk(nn.Module):
    """Network from crops to the outputs of the last two stages, the finer one first."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.stem = conv(3, config.stem, 3, 2)
        stages, channels = [], config.stem
        for stage in config.stages:
            blocks = []
            for i in range(stage.depth):
                stride = stage.stride if i == 0 else 1
                blocks.append(Block(stage.block, channels, stage.channels, stride, stage.expand))
                channels = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.fine_channels, self.coarse_channels = config.stages[-2].channels, channels

    def forward(
        self, crops: Tensor
    ) -> tuple[Tensor, Tensor]:  # [N, 3, S, S] -> [N, C, S/8, S/8], [N, C', S/16, S/16]
        features, outputs = self.stem(crops), []
        for stage in self.stages:
            features = stage(features)
            outputs.append(features)
        return outputs[-2], outputs[-1]


def initialize(module: nn.Module) -> None:
    """He initialization of convolutions; residual branches are scaled down to 0.2."""
    init_convolutions(module)
    for part in module.modules():
        if isinstance(part, Block) and part.add:
            assert isinstance(part.branch, nn.Sequential)
            last = part.branch[-1]
            nn.init.constant_(last.get_parameter("1.weight"), 0.2)

"""ResNet-18, ResNet-50 (He et al. 2016) and narrower ones; with torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, features: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(features)))))
        return torch.relu(
            branch + (features if self.downsample is None else self.downsample(features))
        )


class Bottleneck(nn.Module):
    """1x1 down, 3x3 with the stride, 1x1 up, and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, features: Tensor) -> Tensor:
        branch = torch.relu(self.bn1(self.conv1(features)))
        branch = self.bn3(self.conv3(torch.relu(self.bn2(self.conv2(branch)))))
        return torch.relu(
            branch + (features if self.downsample is None else self.downsample(features))
        )


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """1x1 convolution with batch normalization where the shape changes, else None."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """[N, inputs, H, W] -> [N, width], the averaged last map; with `classes` > 0 -> logits of the
    original head.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        base: int = 64,
        inputs: int = 3,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        add_layers(self, block, base, depths, base, block.expansion)
        self.map_widths = [(base << level) * block.expansion for level in range(4)]
        self.width = self.map_width = self.map_widths[-1]
        self.fc = nn.Linear(self.width, classes) if classes else None
        init_convolutions(self)

    def maps(self, crops: Tensor) -> list[Tensor]:
        """The four levels, [N, map_widths[i], S / 2^(i+2), S / 2^(i+2)], finest first."""
        return layer_maps(self, self.maxpool(torch.relu(self.bn1(self.conv1(crops)))))

    def last_map(self, crops: Tensor) -> Tensor:
        return self.maps(crops)[-1]

    def forward(self, crops: Tensor) -> Tensor:
        pooled = self.last_map(crops).mean(dim=(2, 3))
        return pooled if self.fc is None else self.fc(pooled)


def add_layers(
    net: nn.Module,
    block: Callable[[int, int, int], nn.Module],
    inputs: int,
    depths: tuple[int, int, int, int],
    base: int,
    expansion: int = 1,
    first_stride: int = 1,
) -> None:
    """Add `layer1` to `layer4` of blocks (inputs, width, stride); each level doubles the width."""
    for level, depth in enumerate(depths):
        blocks: list[nn.Module] = []
        for i in range(depth):
            stride = 1 if i else 2 if level else first_stride
            blocks.append(block(inputs, base << level, stride))
            inputs = (base << level) * expansion
        net.add_module(f"layer{level + 1}", nn.Sequential(*blocks))


def layer_maps(net: nn.Module, features: Tensor) -> list[Tensor]:
    """Outputs of `layer1` to `layer4`."""
    maps = []
    for level in range(1, 5):
        features = net.get_submodule(f"layer{level}")(features)
        maps.append(features)
    return maps


def init_convolutions(net: nn.Module) -> None:
    """Initialize every convolution by Kaiming's method."""
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def resnet18(inputs: int = 3, classes: int = 0) -> ResNet:
    return ResNet(BasicBlock, (2, 2, 2, 2), inputs=inputs, classes=classes)


def resnet50(inputs: int = 3, classes: int = 0) -> ResNet:
    return ResNet(Bottleneck, (3, 4, 6, 3), inputs=inputs, classes=classes)


def small_resnet(base: int = 16, inputs: int = 3) -> ResNet:
    """One basic block a level, `base` to 8 `base` channels: the trunk of compact presets."""
    return ResNet(BasicBlock, (1, 1, 1, 1), base=base, inputs=inputs)

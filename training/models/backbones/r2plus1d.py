"""R(2+1)D-18 (Tran et al. 2018): spatial, then temporal convolutions over a clip; torchvision's
parameter names.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from training.models.backbones.resnet import add_layers, init_convolutions, layer_maps


def _spatial(inputs: int, outputs: int, stride: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)


def _temporal(inputs: int, outputs: int, stride: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False)


def _factorized(inputs: int, between: int, outputs: int, stride: int) -> nn.Sequential:
    """A 3x3x3 convolution as 1x3x3 to `between` channels and 3x1x1."""
    return nn.Sequential(
        _spatial(inputs, between, stride),
        nn.BatchNorm3d(between),
        nn.ReLU(inplace=True),
        _temporal(between, outputs, stride),
    )


class ChannelGate(nn.Module):
    """x + x (sigmoid(FC(relu(FC(mean x)))) - 0.5): scales channels by 0.5 to 1.5 and starts near
    the identity (M5).
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        between = max(4, channels // reduction)  # with fewer, all ReLUs may stay inactive
        self.down, self.up = nn.Linear(channels, between), nn.Linear(between, channels)

    def forward(self, features: Tensor) -> Tensor:  # [N, C, T, H, W]
        gate = torch.sigmoid(self.up(torch.relu(self.down(features.mean(dim=(2, 3, 4))))))
        return features * (gate + 0.5)[:, :, None, None, None]


class ClipBlock(nn.Module):
    """Two factorized convolutions, a shortcut and, if `gated`, a channel gate."""

    def __init__(self, inputs: int, outputs: int, stride: int, gated: bool) -> None:
        super().__init__()
        # This width keeps the parameter count of a full 3x3x3 convolution; both convolutions of the
        # block use it.
        between = (inputs * outputs * 27) // (inputs * 9 + 3 * outputs)
        self.conv1 = nn.Sequential(
            _factorized(inputs, between, outputs, stride),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(
            _factorized(outputs, between, outputs, 1), nn.BatchNorm3d(outputs)
        )
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, (stride, stride, stride), bias=False),
                nn.BatchNorm3d(outputs),
            )
        self.gate = ChannelGate(outputs) if gated else None

    def forward(self, features: Tensor) -> Tensor:
        branch = self.conv2(self.conv1(features))
        out = torch.relu(
            branch + (features if self.downsample is None else self.downsample(features))
        )
        return out if self.gate is None else self.gate(out)


class R2Plus1d18(nn.Module):
    """[N, inputs, T, H, W] -> pooled features [N, width]; with `classes` > 0 -> logits."""

    def __init__(
        self, inputs: int = 3, classes: int = 0, base: int = 64, depth: int = 2, gated: bool = False
    ) -> None:
        super().__init__()
        between = base * 45 // 64
        self.stem = nn.Sequential(
            nn.Conv3d(inputs, between, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(between),
            nn.ReLU(inplace=True),
            nn.Conv3d(between, base, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(base),
            nn.ReLU(inplace=True),
        )
        add_layers(self, partial(ClipBlock, gated=gated), base, (depth,) * 4, base)
        self.width = base << 3
        self.fc = nn.Linear(self.width, classes) if classes else None
        init_convolutions(self)

    def forward(self, clip: Tensor) -> Tensor:
        pooled = layer_maps(self, self.stem(clip))[-1].mean(dim=(2, 3, 4))
        output: Tensor = pooled if self.fc is None else self.fc(pooled)
        return output

"""Convolutions with separate weights for each patch of a map (region layer of JAA-Net, Shao et al.
2021).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchConv(nn.Module):
    """BN, ReLU and 3x3 convolution for each of `side` x `side` patches of a map.

    [N, C, H, W] -> [N, C', H, W].

    Patches are moved to the channel axis, so that one grouped convolution processes all; each
    patch is padded with zeros. H and W must be divisible by `side`.
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.side, self.inputs = side, inputs
        count = side * side
        self.norm = nn.BatchNorm2d(count * inputs)
        self.conv = nn.Conv2d(count * inputs, count * outputs, 3, padding=1, groups=count)

    def forward(self, features: Tensor) -> Tensor:
        n, side = features.shape[0], self.side
        height, width = features.shape[2] // side, features.shape[3] // side
        patches = features.reshape(n, self.inputs, side, height, side, width).permute(
            0, 2, 4, 1, 3, 5
        )
        out = self.conv(
            torch.relu(self.norm(patches.reshape(n, side * side * self.inputs, height, width)))
        )
        channels = out.shape[1] // (side * side)
        out = out.reshape(n, side, side, channels, height, width).permute(0, 3, 1, 4, 2, 5)
        output: Tensor = out.reshape(n, channels, side * height, side * width)
        return output


class RegionLayer(nn.Module):
    """A convolution plus stacked patch convolutions on 8 x 8, 4 x 4 and 2 x 2 grids."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.fine = PatchConv(outputs, outputs // 2, 8)
        self.middle = PatchConv(outputs // 2, outputs // 4, 4)
        self.coarse = PatchConv(outputs // 4, outputs // 4, 2)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        convolved = self.conv(features)
        fine = self.fine(convolved)
        middle = self.middle(fine)
        return torch.relu(
            self.norm(convolved + torch.cat([fine, middle, self.coarse(middle)], dim=1))
        )

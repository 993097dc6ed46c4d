"""IR-SE50: ArcFace's improved residual network with squeeze-and-excitation; the usual public
parameter names.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

_STAGES: Final = ((64, 3), (128, 4), (256, 14), (512, 3))


class SqueezeExcite(nn.Module):
    """Channel weights out of the channel means (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        means = features.mean(dim=(2, 3), keepdim=True)
        return features * torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))


class IrSeBlock(nn.Module):
    """Pre-normalized residual branch with squeeze-and-excitation at its end."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        if inputs == outputs:
            self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            SqueezeExcite(outputs),
        )

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.shortcut_layer(features) + self.res_layer(features)
        return output


class IrSe50(nn.Module):
    """[N, 3, 112, 112] -> [N, 512] embeddings of unit length."""

    def __init__(self, dropout: float = 0.6, embedding: int = 512) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        blocks, channels = [], 64
        for width, depth in _STAGES:
            for i in range(depth):
                blocks.append(IrSeBlock(channels, width, 1 if i else 2))
                channels = width
        self.body = nn.Sequential(*blocks)
        self.map_width, self.map_cells, self.width = channels, 7, embedding
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(channels * 49, embedding),
            nn.BatchNorm1d(embedding),
        )

    def last_map(self, crops: Tensor) -> Tensor:
        """[N, 512, 7, 7]."""
        output: Tensor = self.body(self.input_layer(crops))
        return output

    def forward(self, crops: Tensor) -> Tensor:
        return functional.normalize(self.output_layer(self.last_map(crops)), dim=1, eps=1e-6)

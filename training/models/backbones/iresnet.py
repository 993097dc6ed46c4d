"""iResNet-100 (Duta et al. 2020, as ArcFace uses it); with insightface's parameter names."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from training.models.backbones.resnet import add_layers, layer_maps, shortcut

IRESNET100_DEPTHS: Final = (3, 13, 30, 3)


class ImprovedBlock(nn.Module):
    """Batch normalization first, PReLU between two 3x3, nothing after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, features: Tensor) -> Tensor:
        branch = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(features))))))
        output: Tensor = branch + (
            features if self.downsample is None else self.downsample(features)
        )
        return output


class IResNet(nn.Module):
    """[N, 3, S, S] -> [N, embedding]; the fully connected layer fixes S (a multiple of 16)."""

    def __init__(
        self,
        depths: tuple[int, int, int, int] = IRESNET100_DEPTHS,
        base: int = 64,
        embedding: int = 512,
        size_px: int = 112,
        dropout: float = 0.6,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.prelu = nn.PReLU(base)
        add_layers(self, ImprovedBlock, base, depths, base, first_stride=2)
        channels = base << 3
        self.map_width, self.map_cells, self.width = channels, size_px // 16, embedding
        self.bn2 = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels * self.map_cells**2, embedding)
        self.features = nn.BatchNorm1d(embedding)
        nn.init.ones_(self.features.weight)
        self.features.weight.requires_grad = (
            False  # as published: the scale of an embedding is the margin loss's
        )
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, 0, 0.1)

    def last_map(self, crops: Tensor) -> Tensor:
        """[N, map_width, map_cells, map_cells]."""
        return layer_maps(self, self.prelu(self.bn1(self.conv1(crops))))[-1]

    def embed(self, last_map: Tensor) -> Tensor:
        output: Tensor = self.features(self.fc(self.dropout(self.bn2(last_map).flatten(1))))
        return output

    def forward(self, crops: Tensor) -> Tensor:
        return self.embed(self.last_map(crops))

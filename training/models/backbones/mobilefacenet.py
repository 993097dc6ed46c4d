"""MobileFaceNet (Chen et al. 2018), a student's trunk; with the usual public parameter names."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ConvBlock(nn.Module):
    """Convolution, batch normalization and, unless linear, PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = None if linear else nn.PReLU(outputs)

    def forward(self, features: Tensor) -> Tensor:
        out = self.bn(self.conv(features))
        output: Tensor = out if self.prelu is None else self.prelu(out)
        return output


class DepthWise(nn.Module):
    """1x1 up to `between`, depthwise 3x3, 1x1 down; with a shortcut where `residual`."""

    def __init__(
        self, inputs: int, outputs: int, between: int, stride: int, residual: bool
    ) -> None:
        super().__init__()
        self.conv = ConvBlock(inputs, between)
        self.conv_dw = ConvBlock(between, between, 3, stride, 1, groups=between)
        self.project = ConvBlock(between, outputs, linear=True)
        self.residual = residual

    def forward(self, features: Tensor) -> Tensor:
        branch = self.project(self.conv_dw(self.conv(features)))
        output: Tensor = features + branch if self.residual else branch
        return output


class Repeated(nn.Module):
    """`depth` residual depthwise blocks of one width."""

    def __init__(self, channels: int, depth: int, between: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *[DepthWise(channels, channels, between, 1, True) for _ in range(depth)]
        )

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.model(features)
        return output


class MobileFaceNet(nn.Module):
    """[N, 3, 112, 112] -> [N, embedding] of unit length."""

    def __init__(self, embedding: int = 512) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, 2, 1)
        self.conv2_dw = ConvBlock(64, 64, 3, 1, 1, groups=64)
        self.conv_23 = DepthWise(64, 64, 128, 2, False)
        self.conv_3 = Repeated(64, 4, 128)
        self.conv_34 = DepthWise(64, 128, 256, 2, False)
        self.conv_4 = Repeated(128, 6, 256)
        self.conv_45 = DepthWise(128, 128, 512, 2, False)
        self.conv_5 = Repeated(128, 2, 256)
        self.conv_6_sep = ConvBlock(128, 512)
        self.conv_6_dw = ConvBlock(512, 512, 7, groups=512, linear=True)
        self.linear = nn.Linear(512, embedding, bias=False)
        self.bn = nn.BatchNorm1d(embedding)
        self.width = embedding

    def forward(self, crops: Tensor) -> Tensor:
        features = self.conv_3(self.conv_23(self.conv2_dw(self.conv1(crops))))
        features = self.conv_5(self.conv_45(self.conv_4(self.conv_34(features))))
        features = self.conv_6_dw(self.conv_6_sep(features)).flatten(1)
        return functional.normalize(self.bn(self.linear(features)), dim=1, eps=1e-6)

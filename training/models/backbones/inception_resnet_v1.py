"""Inception-ResNet-v1 (Szegedy et al. 2016) for face recognition, with the
parameter names of facenet-pytorch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class BasicConv2d(nn.Module):
    """Convolution, batch normalization (epsilon 1e-3, as trained in TensorFlow), ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(features)))


class Branches(nn.Module):
    """Parallel branches, concatenated."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branch_count = len(branches)
        for i, branch in enumerate(branches):
            self.add_module(f"branch{i}", branch)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat(
            [self.get_submodule(f"branch{i}")(features) for i in range(self.branch_count)], dim=1
        )


class ResidualInception(Branches):
    """Parallel branches, merged by a 1x1 convolution, scaled and added to the input."""

    def __init__(
        self, channels: int, branches: list[nn.Module], joined: int, scale: float, relu: bool = True
    ) -> None:
        super().__init__(branches)
        self.scale, self.relu = scale, relu
        self.conv2d = nn.Conv2d(joined, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        out = features + self.conv2d(super().forward(features)) * self.scale
        return torch.relu(out) if self.relu else out


def _reduction(branches: list[nn.Module]) -> Branches:
    """Branches of stride 2 and a max pooling."""
    return Branches([*branches, nn.MaxPool2d(3, 2)])


def _block35() -> ResidualInception:
    one = BasicConv2d(256, 32, 1)
    two = nn.Sequential(BasicConv2d(256, 32, 1), BasicConv2d(32, 32, 3, padding=1))
    three = nn.Sequential(
        BasicConv2d(256, 32, 1),
        BasicConv2d(32, 32, 3, padding=1),
        BasicConv2d(32, 32, 3, padding=1),
    )
    return ResidualInception(256, [one, two, three], 96, 0.17)


def _crossed(
    channels: int, width: int, length: int, scale: float, relu: bool = True
) -> ResidualInception:
    """A 1x1 branch and one of a row, then a column convolution."""
    half = length // 2
    long = nn.Sequential(
        BasicConv2d(channels, width, 1),
        BasicConv2d(width, width, (1, length), padding=(0, half)),
        BasicConv2d(width, width, (length, 1), padding=(half, 0)),
    )
    return ResidualInception(
        channels, [BasicConv2d(channels, width, 1), long], 2 * width, scale, relu
    )


class InceptionResnetV1(nn.Module):
    """[N, 3, S, S] -> [N, 512] embeddings of unit length; with `classes` > 0 -> logits of the
    identity head.
    """

    def __init__(self, classes: int = 0, dropout: float = 0.6) -> None:
        super().__init__()
        self.conv2d_1a = BasicConv2d(3, 32, 3, 2)
        self.conv2d_2a = BasicConv2d(32, 32, 3)
        self.conv2d_2b = BasicConv2d(32, 64, 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, 2)
        self.conv2d_3b = BasicConv2d(64, 80, 1)
        self.conv2d_4a = BasicConv2d(80, 192, 3)
        self.conv2d_4b = BasicConv2d(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*[_block35() for _ in range(5)])
        chain = nn.Sequential(
            BasicConv2d(256, 192, 1),
            BasicConv2d(192, 192, 3, padding=1),
            BasicConv2d(192, 256, 3, 2),
        )
        self.mixed_6a = _reduction([BasicConv2d(256, 384, 3, 2), chain])
        self.repeat_2 = nn.Sequential(*[_crossed(896, 128, 7, 0.10) for _ in range(10)])
        first = nn.Sequential(BasicConv2d(896, 256, 1), BasicConv2d(256, 384, 3, 2))
        second = nn.Sequential(BasicConv2d(896, 256, 1), BasicConv2d(256, 256, 3, 2))
        third = nn.Sequential(
            BasicConv2d(896, 256, 1),
            BasicConv2d(256, 256, 3, padding=1),
            BasicConv2d(256, 256, 3, 2),
        )
        self.mixed_7a = _reduction([first, second, third])
        self.repeat_3 = nn.Sequential(*[_crossed(1792, 192, 3, 0.20) for _ in range(5)])
        self.block8 = _crossed(1792, 192, 3, 1.0, relu=False)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=1e-3)
        self.logits = nn.Linear(512, classes) if classes else None
        self.width = 512

    def pooled(self, crops: Tensor) -> Tensor:
        """Average-pooled last feature map [N, 1792]."""
        features = self.maxpool_3a(self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(crops))))
        features = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(features)))
        features = self.repeat_2(self.mixed_6a(self.repeat_1(features)))
        output: Tensor = self.block8(self.repeat_3(self.mixed_7a(features))).mean(dim=(2, 3))
        return output

    def forward(self, crops: Tensor) -> Tensor:
        embedding = self.last_bn(self.last_linear(self.dropout(self.pooled(crops))))
        return (
            functional.normalize(embedding, dim=1, eps=1e-6)
            if self.logits is None
            else self.logits(embedding)
        )

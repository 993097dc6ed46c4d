"""Feature pyramid over ResNet maps (Lin et al. 2017) of M6, with torchvision's parameter names."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.backbones.build_backbone import build_backbone
from training.models.backbones.resnet import ResNet

LEVELS: Final = 5  # four maps of the trunk and one pooled from the last


class TopDown(nn.Module):
    """1x1 laterals, nearest upsampling, sum, 3x3 smoothing."""

    def __init__(self, inputs: list[int], width: int) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(channels, width, 1)) for channels in inputs]
        )
        self.layer_blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(width, width, 3, padding=1)) for _ in inputs]
        )
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_uniform_(part.weight, a=1)
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        laterals = [block(level) for block, level in zip(self.inner_blocks, maps, strict=True)]
        summed = [laterals[-1]]
        for lateral in reversed(laterals[:-1]):
            size = [int(side) for side in lateral.shape[-2:]]
            summed.insert(0, lateral + functional.interpolate(summed[0], size, mode="nearest"))
        smooth = [block(level) for block, level in zip(self.layer_blocks, summed, strict=True)]
        return [*smooth, functional.max_pool2d(smooth[-1], 1, 2)]


class FeaturePyramid(nn.Module):
    """[N, 3, S, S] -> five maps [N, width, ...], finest first.

    With `last_only`: the last level of the trunk and its pooling.
    """

    def __init__(self, trunk: str = "resnet50", width: int = 256, last_only: bool = False) -> None:
        super().__init__()
        body = build_backbone(trunk)
        if not isinstance(body, ResNet):
            raise ValueError(f"a feature pyramid needs a ResNet trunk, got {trunk!r}")
        self.body, self.width = body, width
        self.used = 1 if last_only else 4
        self.fpn = TopDown(body.map_widths[-self.used :], width)

    def freeze_low_levels(self) -> None:
        """Freeze stem, first level and all normalizations, as published for a pretrained trunk."""
        for part in self.body.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.requires_grad_(False)
        for part in (self.body.conv1, self.body.bn1, self.body.get_submodule("layer1")):
            part.requires_grad_(False)
        self._frozen = True

    def train(self, mode: bool = True) -> FeaturePyramid:
        super().train(mode)
        if getattr(self, "_frozen", False):
            for part in self.body.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()
        return self

    def forward(self, crops: Tensor) -> list[Tensor]:
        levels: list[Tensor] = self.fpn(self.body.maps(crops)[-self.used :])
        return levels


class PyramidRead(nn.Module):
    """Five maps -> [N, outputs].

    `concat`: concatenated level means into one linear layer (published code). `per_level`: a
    linear layer on each level, averaged. `last`: the trunk's last level only, without the pyramid.
    """

    MODES: Final = ("concat", "per_level", "last")

    def __init__(self, width: int, outputs: int, mode: str = "concat") -> None:
        super().__init__()
        if mode not in self.MODES:
            raise ValueError(f"pyramid levels must be read as one of {self.MODES}, got {mode!r}")
        self.mode = mode
        counts = {"concat": (LEVELS * width, 1), "per_level": (width, LEVELS), "last": (width, 1)}
        inputs, count = counts[mode]
        self.linear = nn.ModuleList([nn.Linear(inputs, outputs) for _ in range(count)])

    def forward(self, levels: list[Tensor]) -> Tensor:
        means = [level.mean(dim=(2, 3)) for level in levels]
        if self.mode in ("concat", "last"):
            features = torch.cat(means, dim=1) if self.mode == "concat" else means[-2]
            output: Tensor = self.linear[0](features)
            return output
        return torch.stack(
            [linear(mean) for linear, mean in zip(self.linear, means, strict=True)]
        ).mean(dim=0)

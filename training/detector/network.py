"""The detector's network: one map of faces at an eighth of the image's size, free of anchors and of
loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.trunk import conv

STRIDE: Final = 8
CHANNELS: Final = 15  # score, center x and y, log width and height, five points x and y


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Widths at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image, and blocks at the last three."""

    widths: tuple[int, ...] = (8, 24, 48, 64, 64)
    blocks: tuple[int, ...] = (3, 2, 2)


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    """Depthwise 3x3, then 1x1 (MobileNet)."""
    return nn.Sequential(
        conv(inputs, inputs, 3, stride, groups=inputs, relu=False), conv(inputs, outputs, 1)
    )


class DetectorNet(nn.Module):
    """Images [N, 3, H, W], BGR, (value / 255 - 0.5) / 0.25, H and W multiples of 32, to raw maps
    [N, 15, H/8, W/8].

    Coarse maps are added into finer ones from the top down (Lin et al. 2017), so that the one
    map that is read sees faces of all sizes; the size is an exponential and each cell answers
    for the face whose center lies in it (Zhou et al. 2019).
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        half, quarter, fine, middle, coarse = config.widths
        self.stem = nn.Sequential(conv(3, half, 3, 2), conv(half, quarter, 3, 2))
        stages, inputs = [], quarter
        for width, depth in zip((fine, middle, coarse), config.blocks, strict=True):
            stages.append(
                nn.Sequential(
                    *(
                        _separable(width if i else inputs, width, 1 if i else 2)
                        for i in range(depth)
                    )
                )
            )
            inputs = width
        self.fine, self.middle, self.coarse = stages
        self.coarse_down, self.middle_down = conv(coarse, middle, 1), conv(middle, fine, 1)
        self.merge = _separable(fine, fine)
        self.read = nn.Conv2d(fine, CHANNELS, 1)
        nn.init.constant_(self.read.bias[:1], -4.0)  # type: ignore[index]
        nn.init.constant_(self.read.bias[3:5], 1.2)  # type: ignore[index]

    def forward(self, images: Tensor) -> Tensor:
        fine = self.fine(self.stem(images))
        middle = self.middle(fine)
        coarse = self.coarse_down(self.coarse(middle))
        middle = self.middle_down(
            middle + functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        )
        raw: Tensor = self.read(
            self.merge(fine + functional.interpolate(middle, scale_factor=2.0, mode="nearest"))
        )
        return raw


def cell_centers(rows: int, columns: int) -> Tensor:
    """Pixel centers [2, rows, columns], x and y, of the cells of a map."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return (torch.stack([x, y]).float() + 0.5) * STRIDE - 0.5


class DetectorMaps(nn.Module):
    """Exported network with decoded outputs, after 3x3 non-maximum suppression of scores.

    Output [N, 15, H/8, W/8]: score, box (x1, y1, x2, y2) and five points, in pixels.
    """

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        raw = self.net(images)
        score = torch.sigmoid(raw[:, :1])
        peak = (score >= functional.max_pool2d(score, 3, 1, 1)).float()
        return torch.cat([score * peak, decode(raw)], dim=1)


def decode(raw: Tensor) -> Tensor:
    """Boxes and points [N, 14, h, w] in pixels of raw maps [N, 15, h, w]; points count in mean box
    sides from the cell.
    """
    # The places of cells as running sums, which export to any size of image.
    ones = torch.ones_like(raw[:, :1])
    x, y = (STRIDE * torch.cumsum(ones, dim=axis) - (STRIDE + 1) / 2 for axis in (3, 2))
    size = torch.exp(raw[:, 3:5].clamp(-2, 5)) * STRIDE
    side = torch.sqrt(size[:, :1] * size[:, 1:])
    center_x, center_y = x + raw[:, 1:2] * STRIDE, y + raw[:, 2:3] * STRIDE
    half_width, half_height = 0.5 * size[:, :1], 0.5 * size[:, 1:]
    parts = [
        center_x - half_width,
        center_y - half_height,
        center_x + half_width,
        center_y + half_height,
    ]
    for k in range(5, CHANNELS, 2):
        parts += [x + raw[:, k : k + 1] * side, y + raw[:, k + 1 : k + 2] * side]
    return torch.cat(parts, dim=1)

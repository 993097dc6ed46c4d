"""Normalization of pixels by method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from training.models.networks.mean_teacher_clip import CHANNEL_MEAN, CHANNEL_STD


@dataclass(frozen=True, slots=True)
class Normalization:
    """(pixel / 255 - mean) / std of each channel, RGB first."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, images: Tensor) -> Tensor:
        """Normalize images [..., C, H, W] in 0..1."""
        mean, std = self._columns(images)
        return (images - mean) / std

    def invert(self, images: Tensor) -> Tensor:
        """Images in 0..1 from normalized ones."""
        mean, std = self._columns(images)
        return images * std + mean

    def _columns(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (
            torch.tensor(each, device=images.device)[:, None, None]
            for each in (self.mean, self.std)
        )
        return mean, std


NORMALIZATIONS: Final[dict[str, Normalization]] = {
    "unit": Normalization((0.0,) * 3, (1.0,) * 3),
    "half": Normalization((0.5,) * 3, (0.5,) * 3),
    "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # Weights pretrained on FER+ expect 0..255 minus the mean, unscaled.
    "ferplus": Normalization(
        tuple(mean / 255 for mean in (131.0912, 103.8827, 91.4953)), (1 / 255,) * 3
    ),
    "kinetics4": Normalization(CHANNEL_MEAN, CHANNEL_STD),
}
"""Normalizations by name in a recipe; the fourth channel of `kinetics4` is the part mask."""

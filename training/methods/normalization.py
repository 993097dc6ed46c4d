"""What each method does to pixels before its network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from training.models.networks.mean_teacher_clip import CHANNEL_MEAN, CHANNEL_STD


@dataclass(frozen=True, slots=True)
class Normalisation:
    """(pixel / 255 - mean) / std of each channel, RGB first."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


NORMALISATIONS: Final[dict[str, Normalisation]] = {
    "unit": Normalisation((0.0,) * 3, (1.0,) * 3),
    "half": Normalisation((0.5,) * 3, (0.5,) * 3),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # Weights trained on FER+ want 0..255 less the mean, not scaled.
    "ferplus": Normalisation(tuple(mean / 255 for mean in (131.0912, 103.8827, 91.4953)), (1 / 255,) * 3),
    "kinetics4": Normalisation(CHANNEL_MEAN, CHANNEL_STD),
}
"""By name in a recipe; `kinetics4` has the picture of facial parts as its fourth channel."""

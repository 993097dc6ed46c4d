"""Features of a pseudo-intensity relative to the history of the face (M7): statistics of the full
video, or running ones.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from faceaffect.labels import AU_NAMES
from training.models.stages import TensorForm

QUANTILES: Final = (0.0, 0.1, 0.2)  # low quantiles represent the neutral face
LEVELS: Final = (0.0, 0.25, 0.5, 0.75)  # minimum confidence of the frames that count
WARM_UP_FRAMES: Final = 150


def feature_count(neighbors: int) -> int:
    """Number of features.

    These are intensity, 3 quantiles, 3 quantiles and a fraction per level, `neighbors` of intensity
    and of confidence, and confidence.
    """
    return 1 + len(QUANTILES) + len(LEVELS) * (len(QUANTILES) + 1) + 2 * neighbors + 1


def whole_video_features(intensity: Tensor, confidence: Tensor, window: int = 300) -> Tensor:
    """Features of M7 as published, [T, 12, 4 window + 21], from the full video.

    `intensity` and `confidence` are [T, 12] of one video. Neighbors come as t + 1 ... t +
    window, then t - 1 ... t - window, edges repeated. A confidence level without frames repeats
    the values of the level before it.
    """
    steps = len(intensity)
    quantiles = torch.tensor(QUANTILES, dtype=intensity.dtype, device=intensity.device)
    overall = intensity.quantile(quantiles, dim=0).T  # [12, 3]
    rows = []
    for k in range(intensity.shape[1]):
        before: list[Tensor] = []
        for level in LEVELS:
            chosen = intensity[confidence[:, k] >= level, k]
            if len(chosen):
                before = [chosen.quantile(quantiles), chosen.new_tensor([len(chosen) / steps])]
            rows += before
    levels = torch.cat(rows).reshape(intensity.shape[1], -1)
    offsets = torch.cat([torch.arange(1, window + 1), -torch.arange(1, window + 1)]).to(
        intensity.device
    )
    indices = (torch.arange(steps, device=intensity.device)[:, None] + offsets).clamp(0, steps - 1)
    around = [values[indices].transpose(1, 2) for values in (intensity, confidence)]
    fixed = torch.cat([overall, levels], dim=1).expand(steps, -1, -1)
    return torch.cat([intensity[..., None], fixed, *around, confidence[..., None]], dim=2)


class RunningHistory(nn.Module):
    """Causal form: quantiles of the frames so far, and past neighbors only, every `stride` frames.

    Quantiles come from histograms over [-1, 1], exact to a bin: unlike an estimator that depends on
    the order of arrival, they can be computed over a full sequence at once. During the first 150
    frames they are blended with those of the population. Neighbors before the first frame repeat
    it.
    """

    population: Tensor
    levels: Tensor
    quantiles: Tensor

    def __init__(self, window: int = 300, stride: int = 5, bins: int = 64) -> None:
        super().__init__()
        self.window, self.stride, self.bins = window, stride, bins
        self.features = feature_count(window // stride)
        self.register_buffer("population", torch.zeros(len(AU_NAMES), len(QUANTILES)))
        self.register_buffer("levels", torch.tensor(LEVELS), persistent=False)
        self.register_buffer("quantiles", torch.tensor(QUANTILES), persistent=False)

    def fit_population(self, intensity: Tensor) -> None:
        """Set the population quantiles from all training frames [n, 12]."""
        self.population.copy_(intensity.quantile(self.quantiles, dim=0).T)

    def _counts(self, intensity: Tensor, confidence: Tensor) -> Tensor:
        """Contribution of frames [..., 12] to the histograms [..., 12, levels, bins]."""
        index = ((intensity + 1) * (self.bins / 2)).floor().clamp(0, self.bins - 1)
        bins = torch.arange(self.bins, device=intensity.device, dtype=intensity.dtype)
        hit = (index[..., None] == bins).to(intensity.dtype)
        counted = (confidence[..., None] >= self.levels).to(intensity.dtype)
        return counted[..., None] * hit[..., None, :]

    def _quantiles(self, histogram: Tensor) -> tuple[Tensor, Tensor]:
        """Quantiles [..., 3] of histograms [..., bins], linear within a bin, and totals [...]."""
        below = histogram.cumsum(dim=-1)
        total = below[..., -1]
        target = (total[..., None] * self.quantiles)[..., None]
        passed = (below[..., None, :] <= target).to(histogram.dtype)
        index = passed.sum(dim=-1).clamp(max=self.bins - 1)
        under = (below[..., None, :] * passed).amax(dim=-1)
        size = histogram.gather(-1, index.long()).clamp(min=1)
        return (index + (target[..., 0] - under) / size) * (2 / self.bins) - 1, total

    def _assemble(
        self, current: tuple[Tensor, Tensor], histogram: Tensor, past: tuple[Tensor, Tensor]
    ) -> Tensor:
        values, totals = self._quantiles(histogram)  # [..., 12, levels, 3], [..., 12, levels]
        trust = (totals[..., :1, None] / WARM_UP_FRAMES).clamp(max=1)
        values = trust * values + (1 - trust) * self.population[:, None, :]
        fraction = totals / totals[..., :1].clamp(min=1)
        parts = [torch.cat([values[..., 0, :], fraction[..., :1]], dim=-1)]
        for level in range(1, len(LEVELS)):
            here = torch.cat([values[..., level, :], fraction[..., level : level + 1]], dim=-1)
            parts.append(torch.where(totals[..., level : level + 1] > 0, here, parts[-1]))
        intensity, confidence = (each[..., None] for each in current)
        return torch.cat([intensity, values[..., 0, :], *parts, *past, confidence], dim=-1)

    def forward(self, intensity: Tensor, confidence: Tensor) -> Tensor:
        """Intensity and confidence, both [N, T, 12] -> [N, T, 12, features]."""
        histogram = self._counts(intensity, confidence).cumsum(dim=1)
        steps = intensity.shape[1]
        back = torch.arange(self.stride, self.window + 1, self.stride, device=intensity.device)
        indices = (torch.arange(steps, device=intensity.device)[:, None] - back).clamp(min=0)
        past = (intensity[:, indices].transpose(2, 3), confidence[:, indices].transpose(2, 3))
        return self._assemble((intensity, confidence), histogram, past)

    def state_forms(self) -> tuple[TensorForm, ...]:
        count = len(AU_NAMES)
        return (
            TensorForm("histogram", (count, len(LEVELS), self.bins)),
            TensorForm("past_intensity", (self.window, count)),
            TensorForm("past_confidence", (self.window, count)),
        )

    def step(
        self,
        intensity: Tensor,
        confidence: Tensor,
        histogram: Tensor,
        past_s: Tensor,
        past_c: Tensor,
    ) -> tuple[Tensor, ...]:
        """Process a frame [N, 12].

        Returns:
            Features [N, 12, features] and the new states.
        """
        # The first frame fills the ring: the histogram is empty just then.
        is_new = (histogram.sum(dim=(1, 2, 3)) == 0).to(intensity.dtype)[:, None, None]
        past_s = past_s * (1 - is_new) + intensity[:, None] * is_new
        past_c = past_c * (1 - is_new) + confidence[:, None] * is_new
        histogram = histogram + self._counts(intensity, confidence)
        # Newest first, as offline: stride, 2 stride ... frames back.
        picked = [
            ring.flip(1)[:, self.stride - 1 :: self.stride].transpose(1, 2)
            for ring in (past_s, past_c)
        ]
        features = self._assemble((intensity, confidence), histogram, (picked[0], picked[1]))
        after = [
            torch.cat([ring[:, 1:], new[:, None]], dim=1)
            for ring, new in ((past_s, intensity), (past_c, confidence))
        ]
        return (features, histogram, *after)


def logit_of(value: Tensor, margin: float = 0.01) -> Tensor:
    """Logit of a value that is clipped to [margin, 1 - margin]."""
    value = value.clamp(margin, 1 - margin)
    return torch.log(value) - torch.log1p(-value)


def soft_clamp(value: Tensor, limit: float = 10.0) -> Tensor:
    """The published bound on log sigma."""
    return functional.hardtanh(value, -limit, limit)

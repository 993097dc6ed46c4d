"""Idea of M7 on cached features: order of pairs, then a mapping over the video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES
from training.ablations.cached.data import CachedData, Rows, Split
from training.ablations.cached.fit import (
    ArmScores,
    FitConfig,
    Outputs,
    Predict,
    fit,
    judge,
    scorer,
    uniform,
)
from training.ablations.cached.frame_ideas import Arms, Heads
from training.ablations.cached.time_ideas import WINDOW_FRAMES
from training.datasets.sampling.pairs import au_pairs
from training.losses.action_units import bce, value_l1
from training.losses.ranking import pair_gauss, pair_hinge
from training.models.networks.pairwise_intensity import IntensityMapping
from training.models.temporal.intensity_history import feature_count, logit_of, whole_video_features


class _Intensity(nn.Module):
    """M7's pseudo-intensity and log sigma of a frame's features."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Dropout(0.3))
        self.raw, self.log_sigma = (nn.Linear(128, len(AU_NAMES)) for _ in range(2))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(features)
        return self.raw(hidden), self.log_sigma(hidden).clamp(-10, 10)


def _pairs(data: CachedData, rows: Rows, random: np.random.Generator) -> Rows:
    """Pairs [K, 2] of rows of one video, for each AU that has any."""
    table = data.table.select(rows)
    found = []
    for column in range(len(AU_NAMES)):
        try:
            found.append(rows[au_pairs(table, column, 600, random)])
        except ValueError:  # no video shows the AU in some frames only
            continue
    return np.concatenate(found)


def _train_intensity(data: CachedData, split: Split) -> _Intensity:
    """Stages 1 and 2 of M7 on pairs of training videos."""
    net = _Intensity(data.features.shape[1])
    pairs, held = (_pairs(data, rows, split.random(6)) for rows in (split.train, split.tune))

    def pair_loss(chosen: Tensor, uncertain: bool) -> Tensor:
        order = data.labels.au[chosen[:, 1]] - data.labels.au[chosen[:, 0]]
        first, second = (net(data.features[chosen[:, k]]) for k in range(2))
        if not uncertain:
            return pair_hinge(first[0], second[0], order)
        return pair_gauss(first[0], second[0], first[1], second[1], order)

    def train(uncertain: bool) -> None:
        for part in (net.hidden, net.raw):
            part.requires_grad_(not uncertain)
        fit(
            net,
            lambda chosen, step: pair_loss(chosen, uncertain),
            uniform(pairs, 64),
            lambda: -float(pair_loss(torch.from_numpy(held), uncertain)),
            split.random(22),
            FitConfig(max_steps=500, patience=3),
        )

    train(uncertain=False)
    train(uncertain=True)
    return net


@torch.no_grad()
def _history(
    data: CachedData, raw: Tensor, log_sigma: Tensor | None, rows: Rows
) -> tuple[Tensor, Tensor]:
    """Features of the mapping [N, 12, F] and intensities [N, 12], scaled by the range over
    training rows; all are trusted without `log_sigma`.
    """
    low, high = raw[rows].amin(dim=0), raw[rows].amax(dim=0)
    intensity = 2 * (raw - low) / (high - low).clamp(min=1e-6) - 1
    confidence = torch.ones_like(intensity)
    if log_sigma is not None:
        sigma = log_sigma.exp()
        confidence = (1 - sigma / sigma[rows].amax(dim=0)).clamp(0, 1)
    features = torch.zeros(len(raw), len(AU_NAMES), feature_count(2 * WINDOW_FRAMES))
    for video in data.videos:
        own = torch.from_numpy(video)
        features[own] = whole_video_features(intensity[own], confidence[own], WINDOW_FRAMES)
    return features, intensity


def pairwise_history(data: CachedData, split: Split) -> Arms:
    """M7. Order of pairs, uncertainty, a mapping over the video, against direct classification.
    "Direct logits, mapped" has the mapping alone, "pairs, not mapped" the pairs alone,
    "unbalanced mapping" a loss at natural rates.
    """
    torch.manual_seed(split.seed)
    measured = _train_intensity(data, split)
    direct, direct_arm = _direct(data, split)
    with torch.no_grad():
        raw, log_sigma = measured(data.features)
        logits = direct(data.features)["au_logit"]
    full, intensity = _history(data, raw, log_sigma, split.train)
    trusting, _ = _history(data, raw, None, split.train)
    mapped, _ = _history(data, logits, None, split.train)
    return {
        "full": _mapping(data, split, full),
        "no uncertainty": _mapping(data, split, trusting),
        "unbalanced mapping": _mapping(data, split, full, balanced=False),
        "pairs, not mapped": judge(
            lambda rows: {"au_logit": 4 * intensity[rows]}, data, split, ("AU",)
        ),
        "direct logits, mapped": _mapping(data, split, mapped),
        "direct classification": direct_arm,
    }


def _direct(data: CachedData, split: Split) -> tuple[Heads, ArmScores]:
    """AU logits of each frame, without pairs and history."""
    torch.manual_seed(split.seed)
    net = Heads(data.features.shape[1], dropout=0.3)
    labels = data.labels

    def loss(rows: Tensor, step: int) -> Tensor:
        return bce(net(data.features[rows])["au_logit"], labels.au[rows], labels.au_mask[rows])

    def predict(rows: Rows) -> Outputs:
        return {"au_logit": net(data.features[rows])["au_logit"]}

    arm = _fit_aus(net, loss, predict, data, split)
    return net, arm


def _mapping(data: CachedData, split: Split, features: Tensor, balanced: bool = True) -> ArmScores:
    """The mapping of stage 3 on history features, with presence-balanced L1 as published."""
    torch.manual_seed(split.seed)
    net = IntensityMapping(features.shape[2], 32, 1, 0.2)
    labels = data.labels
    rate = labels.au[split.train].mean(dim=0).clamp(0.01, 0.99)

    def loss(rows: Tensor, step: int) -> Tensor:
        au = labels.au[rows]
        weight = torch.where(au > 0.5, 0.5 / rate, 0.5 / (1 - rate))
        return value_l1(net(features[rows]), au, weight if balanced else torch.ones_like(au))

    def predict(rows: Rows) -> Outputs:
        return {"au_logit": logit_of(net(features[rows]))}

    return _fit_aus(net, loss, predict, data, split)


def _fit_aus(
    net: nn.Module,
    loss: Callable[[Tensor, int], Tensor],
    predict: Predict,
    data: CachedData,
    split: Split,
) -> ArmScores:
    steps = fit(
        net,
        loss,
        uniform(split.train),
        scorer(predict, data, split, ("AU",)),
        split.random(23),
    )
    return judge(predict, data, split, ("AU",), steps)

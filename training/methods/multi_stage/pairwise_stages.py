"""M7: frames of one video are ordered by intensity; then what to doubt is learned; then intensities
over time become labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.datasets.frame_table import FrameTable
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.data import MethodData
from training.methods.objectives import Objective, ordering_pairs
from training.methods.recipe import Recipe
from training.methods.total_loss import total_loss
from training.methods.train_method import train_method
from training.models.networks.pairwise_intensity import PairwiseIntensity
from training.models.stages import MethodNet

MAPPING_FRAMES: Final = 10_000
"""Training frames that the mapping learns from, drawn once: as published."""

_MEASURED_AT_ONCE: Final = 128
_MAPPING_BATCH: Final = 128


def train_pairwise(
    recipe: Recipe, data: MethodData, folder: Path, *, steps: int | None = None, **options: Any
) -> MethodNet:
    """Stage `order`, stage `doubt` (left out without `uncertainty`), then the mapping on frozen
    measures in `folder` itself.

    Steps are those of each stage; the second learns the last layer's upper half alone where the
    trunk is shared.
    """
    pairs = replace(recipe, sampling=replace(recipe.sampling, form="frames"))

    def frozen_intensity(net: MethodNet) -> None:
        assert isinstance(net, PairwiseIntensity)
        net.freeze_intensity()

    objective, before = ordering_pairs(uncertainty=False), {**options, "after_epoch": None}
    net = train_method(pairs, data, folder / "order", steps=steps, objective=objective, **before)
    if recipe.net.uncertainty:
        net = train_method(
            pairs, data, folder / "doubt", steps=steps, objective=ordering_pairs(uncertainty=True),
            start=net.state_dict(), prepare=frozen_intensity, **before,
        )  # fmt: skip
    assert isinstance(net, PairwiseIntensity)
    raw, log_sigma = measure(net, pairs, data, data.train)
    net.fit_ranges(raw, log_sigma)
    source = MappingFrames(net, data.train, net.scaled(raw, log_sigma), int(options.get("seed", 1)))

    def frozen_networks(fresh: MethodNet) -> None:
        assert isinstance(fresh, PairwiseIntensity)
        fresh.freeze_networks()

    return train_method(
        recipe, data, folder, steps=steps, objective=mapping_objective(recipe), source=source,
        start=net.state_dict(), prepare=frozen_networks, **options,
    )  # fmt: skip


@torch.no_grad()
def measure(
    net: PairwiseIntensity, recipe: Recipe, data: MethodData, table: FrameTable
) -> tuple[Tensor, Tensor]:
    """Raw intensity and log sigma [N, 12] of every row; 0 of rows without an image."""
    samples = BatchBuilder(recipe, InputSpec("frames", 1, net.config.size_px), data, table)
    net.eval()
    device = net.low.device
    found = torch.zeros(2, len(table), len(net.low))
    rows = np.flatnonzero(table.has_crop)
    for part in np.array_split(rows, max(1, -(-len(rows) // _MEASURED_AT_ONCE))):
        for kept, values in zip(
            found, net.measure(samples.inputs(part)["crops"].to(device)), strict=True
        ):
            kept[part] = values.cpu()
    return found[0].to(device), found[1].to(device)


class MappingFrames:
    """Features of training frames over their whole video, with labels; a step's batch depends on
    its number alone.

    Features are found once. Frames are drawn so that videos come alike often; an AU's present
    and absent frames weigh the same, since the loss (L1) would else give up rare AUs.
    """

    def __init__(
        self, net: PairwiseIntensity, table: FrameTable, measures: tuple[Tensor, Tensor], seed: int
    ) -> None:
        self._seed = seed
        rows, features = self._gather(net, table, measures, np.random.default_rng([seed, 73]))
        self._features = features
        known = torch.from_numpy(table.au_mask[rows].astype(np.float32))
        self._au = torch.from_numpy(table.au[rows]) * known
        present = (self._au.sum(dim=0) / known.sum(dim=0).clamp(min=1)).clamp(0.01, 0.99)
        self._weight = known * torch.where(self._au > 0.5, 0.5 / present, 0.5 / (1 - present))
        self.steps_per_epoch = max(1, -(-len(rows) // _MAPPING_BATCH))

    @staticmethod
    def _gather(
        net: PairwiseIntensity,
        table: FrameTable,
        measures: tuple[Tensor, Tensor],
        random: np.random.Generator,
    ) -> tuple[NDArray[np.int64], Tensor]:
        usable = np.flatnonzero(table.has_crop & table.labeled("AU"))
        if not len(usable):
            raise ValueError(
                "no training frame has AU labels and an image: there is nothing to map intensities to"
            )
        videos = np.unique(table.video[usable])
        each = max(1, MAPPING_FRAMES // len(videos))
        rows, features = [], []
        with torch.no_grad():
            for video in videos:
                shown = np.flatnonzero((table.video == video) & table.has_crop)
                shown = shown[np.argsort(table.frame[shown])]
                over_time = net.features_of(*(values[shown][None] for values in measures))[0]
                places = np.flatnonzero(table.labeled("AU")[shown])
                chosen = np.sort(random.permutation(places)[:each])
                rows.append(shown[chosen])
                features.append(over_time[chosen].half().cpu())
        return np.concatenate(rows), torch.cat(features)

    def make(self, step: int) -> list[dict[str, Tensor]]:
        random = np.random.default_rng([self._seed, step, 74])
        chosen = torch.from_numpy(random.integers(0, len(self._features), _MAPPING_BATCH))
        return [
            {
                "features": self._features[chosen].float(),
                "au": self._au[chosen],
                "au_mask": self._weight[chosen],
            }
        ]


def mapping_objective(recipe: Recipe) -> Objective:
    """The recipe's loss on what the mapping makes of features."""

    def objective(net: nn.Module, batch: Any, epoch: float) -> dict[str, Tensor]:
        assert isinstance(net, PairwiseIntensity)
        return total_loss(recipe.losses, net.mapped(batch["features"]), batch)

    return objective

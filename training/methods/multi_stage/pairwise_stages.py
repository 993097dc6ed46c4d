"""M7: frames of one video are ordered by intensity; then their uncertainty is learned; then
intensities over time are mapped to labels.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.datasets.frame_table import FrameTable
from training.engine.trainer import Objective, TrainerConfig
from training.losses.total_loss import total_loss
from training.methods.batch_builder import BatchBuilder, InputSpec
from training.methods.batch_loader import PairSampler, pair_order
from training.methods.data import MethodData
from training.methods.objectives import pairwise_ranking
from training.methods.recipe import MethodRecipe
from training.methods.score_log import Evaluate
from training.methods.train_method import train_method
from training.models.networks.pairwise_intensity import PairwiseIntensity
from training.models.stages import MethodNet

MAPPING_FRAMES: Final = 10_000
"""Training frames that the mapping learns from, drawn once: as published."""

_MEASURE_BATCH: Final = 128
_MAPPING_BATCH: Final = 128
_SEED_STRIDE: Final = 1009
VALIDATION_PAIRS_DIVISOR: Final = 20  # published: 10,000 pairs to train, 500 to validate


def train_pairwise(
    recipe: MethodRecipe,
    data: MethodData,
    config: TrainerConfig,
) -> MethodNet:
    """Stage `ranking`, stage `uncertainty` (if the network has it), then the mapping on frozen
    measurements.

    `config.steps` are those of each stage; the second learns the last layer's upper half alone if
    the trunk is shared.
    """
    pairs = replace(recipe, sampling=replace(recipe.sampling, form="frames"))
    net = _train_on_pairs("ranking", pairs, data, config, None)
    if recipe.net.uncertainty:
        net = _train_on_pairs("uncertainty", pairs, data, config, net)
    assert isinstance(net, PairwiseIntensity)
    raw, log_sigma = measure(net, pairs, data, data.train)
    net.fit_ranges(raw, log_sigma)
    return train_method(
        recipe,
        data,
        config,
        objective=mapping_objective(recipe),
        batches=MappingFrames(net, data.train, net.scaled(raw, log_sigma), config.seed),
        initial_weights=net.state_dict(),
        prepare=_freeze_networks,
    )


def _train_on_pairs(
    name: str,
    recipe: MethodRecipe,
    data: MethodData,
    config: TrainerConfig,
    start: MethodNet | None,
) -> MethodNet:
    """The first stage, or from a network `start` of the first the second.

    Where epochs are validated it is trained `sampling.repeats` times with other pairs, and the
    network with the lowest loss on validation pairs is returned.
    """
    is_second = start is not None
    loss = validation_pair_loss(recipe, data, is_second)

    def prepare(net: MethodNet) -> None:
        assert isinstance(net, PairwiseIntensity)
        if recipe.trunk_weights:
            net.freeze_first_convolutions()
        if is_second:
            net.freeze_intensity()

    trained: list[MethodNet] = []
    for k in range(recipe.sampling.repeats if config.keep_best else 1):
        folder = config.folder / (name if k == 0 else f"{name}_{k + 1}")
        net = train_method(
            recipe,
            data,
            replace(config, folder=folder, seed=config.seed + k * _SEED_STRIDE),
            objective=pairwise_ranking(is_second),
            initial_weights=None if start is None else start.state_dict(),
            prepare=prepare,
            evaluate=loss,
        )
        trained.append(net)
    if len(trained) == 1:
        return trained[0]
    return max(trained, key=lambda net: loss(net)["total"] or -math.inf)


def validation_pair_loss(recipe: MethodRecipe, data: MethodData, uncertainty: bool) -> Evaluate:
    """`total`: minus the stage's loss over fixed pairs of validation videos, a twentieth as many as
    are trained on in an epoch; None without any pair.
    """
    table, objective = data.validation, pairwise_ranking(uncertainty)
    try:
        count = max(1, recipe.sampling.pairs // VALIDATION_PAIRS_DIVISOR)
        steps = PairSampler(table, recipe.batch, count, seed=0).steps(0)
        pairs = [part.rows for step in steps for part in step.parts]
    except ValueError:
        pairs = []

    @torch.no_grad()
    def evaluate(net: MethodNet) -> dict[str, Any]:
        if not pairs:
            return {"total": None}
        assert isinstance(net, PairwiseIntensity)
        net.eval()
        builder = BatchBuilder(recipe, InputSpec("frames", 1, net.config.size_px), data, table)
        total = 0.0
        for rows in pairs:
            batch = {
                "first": builder.inputs(rows[:, 0])["crops"],
                "second": builder.inputs(rows[:, 1])["crops"],
                "order": pair_order(table, rows),
            }
            on_device = {name: value.to(net.low.device) for name, value in batch.items()}
            total += len(rows) * float(objective(net, on_device, 0.0)["loss"])
        return {"total": -total / sum(map(len, pairs))}

    return evaluate


def _freeze_networks(net: MethodNet) -> None:
    assert isinstance(net, PairwiseIntensity)
    net.freeze_networks()


@torch.no_grad()
def measure(
    net: PairwiseIntensity, recipe: MethodRecipe, data: MethodData, table: FrameTable
) -> tuple[Tensor, Tensor]:
    """Raw intensity and log sigma [N, 12] of every row; 0 for rows without an image."""
    builder = BatchBuilder(recipe, InputSpec("frames", 1, net.config.size_px), data, table)
    net.eval()
    device = net.low.device
    raw, log_sigma = torch.zeros(2, len(table), len(net.low))
    rows = np.flatnonzero(table.has_crop)
    for batch in np.array_split(rows, max(1, -(-len(rows) // _MEASURE_BATCH))):
        values = net.measure(builder.inputs(batch)["crops"].to(device))
        raw[batch], log_sigma[batch] = (value.cpu() for value in values)
    return raw.to(device), log_sigma.to(device)


class MappingFrames:
    """Batch source of training frames' features over their whole video, with labels.

    Features are computed once. Videos are drawn equally often; an AU's active and inactive frames
    have the same total weight, since an L1 loss would otherwise ignore rare AUs.
    """

    def __init__(
        self, net: PairwiseIntensity, table: FrameTable, measures: tuple[Tensor, Tensor], seed: int
    ) -> None:
        self._seed = seed
        random = np.random.default_rng([seed, 73])
        rows, self._features = self._gather(net, table, measures, random)
        mask = torch.from_numpy(table.au_mask[rows].astype(np.float32))
        self._au = torch.from_numpy(table.au[rows]) * mask
        rate = (self._au.sum(dim=0) / mask.sum(dim=0).clamp(min=1)).clamp(0.01, 0.99)
        self._weight = mask * torch.where(self._au > 0.5, 0.5 / rate, 0.5 / (1 - rate))
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
                "no training frame has AU labels and an image, so intensities cannot be mapped"
            )
        videos = np.unique(table.video[usable])
        frames_per_video = max(1, MAPPING_FRAMES // len(videos))
        rows, features = [], []
        with torch.no_grad():
            for video in videos:
                frames = np.flatnonzero((table.video == video) & table.has_crop)
                frames = frames[np.argsort(table.frame[frames])]
                over_time = net.features_of(*(values[frames][None] for values in measures))[0]
                labeled = np.flatnonzero(table.labeled("AU")[frames])
                chosen = np.sort(random.permutation(labeled)[:frames_per_video])
                rows.append(frames[chosen])
                features.append(over_time[chosen].half().cpu())
        return np.concatenate(rows), torch.cat(features)

    def get(self, step: int) -> list[dict[str, Tensor]]:
        random = np.random.default_rng([self._seed, step, 74])
        chosen = torch.from_numpy(random.integers(0, len(self._features), _MAPPING_BATCH))
        return [
            {
                "features": self._features[chosen].float(),
                "au": self._au[chosen],
                "au_mask": self._weight[chosen],
            }
        ]


def mapping_objective(recipe: MethodRecipe) -> Objective:
    """The recipe's losses on the mapping of features."""

    def objective(net: nn.Module, batch: Any, epoch: float) -> dict[str, Tensor]:
        assert isinstance(net, PairwiseIntensity)
        return total_loss(recipe.losses, net.mapped(batch["features"]), batch)

    return objective

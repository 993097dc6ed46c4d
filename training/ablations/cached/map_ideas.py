"""Ideas of M4, M5 and M6 that need feature maps, on cached maps of a frozen trunk; as in
`frame_ideas`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from faceaffect.labels import AU_NAMES
from training.ablations.cached.data import CachedData, Rows, Split
from training.ablations.cached.fit import (
    FitConfig,
    Outputs,
    fit,
    judge,
    scorer,
    uniform,
)
from training.ablations.cached.frame_ideas import ALL_TASKS, TERMS, Arms
from training.losses.action_units import inverse_rate_weights
from training.losses.landmarks import landmark_loss
from training.losses.total_loss import LossTerm, total_loss
from training.models.encoders.au_attention import POINTS, AuAttention
from training.models.encoders.feature_pyramid import TopDown
from training.models.networks.attention_graph import refinement
from training.models.networks.mean_teacher_clip import FRAMES
from training.models.tasks.self_cure import SelfCureHeads

_COUNT: Final = len(AU_NAMES)
_CONFIG: Final = FitConfig(max_steps=1500, patience=3)
_BATCH: Final = 32
_MARGIN: Final = 8  # cells that four unpadded convolutions take off the attention grid


def _coarsest(data: CachedData, cells: int) -> Tensor:
    """The coarsest map of at least `cells` by `cells`."""
    return next(level for level in reversed(data.maps) if level.shape[2] >= cells)


def _halving(inputs: int, width: int, groups: int = 1) -> list[nn.Module]:
    """A 3x3 convolution of stride 2 in `groups` parallel groups, normalized."""
    return [
        nn.Conv2d(groups * inputs, groups * width, 3, 2, 1, groups=groups, bias=False),
        nn.BatchNorm2d(groups * width),
        nn.ReLU(),
    ]


class _Attention(nn.Module):
    """M4's local branches on a map [N, C, H, W], narrower than published: two convolutions for
    each AU in place of six. Landmarks, which place the attention, are learned beside the AUs.
    `kind` is refined (as published), placed (by landmarks, not refined) or none.
    """

    def __init__(self, channels: int, cells: int, kind: str, width: int = 16) -> None:
        super().__init__()
        self.kind, left = kind, -(-cells // 4)
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.place = nn.Sequential(
            *_halving(width, width), nn.Flatten(), nn.Linear(width * (-(-cells // 2)) ** 2, 128),
            nn.Linear(128, 2 * len(POINTS)),
        )  # fmt: skip
        grid = cells + _MARGIN if kind == "refined" else cells
        self.maps = None if kind == "none" else AuAttention(1, grid)
        self.refine = refinement(8) if kind == "refined" else None
        self.local = nn.Sequential(
            *_halving(width, width, _COUNT), *_halving(width, width, _COUNT), nn.Dropout(0.3)
        )
        self.read = nn.Conv2d(_COUNT * width, 2 * _COUNT, left, groups=_COUNT)

    def forward(self, level: Tensor) -> Outputs:
        features = self.reduce(level)
        landmarks = self.place(features).unflatten(1, (len(POINTS), 2)) + 0.5
        attended = features[:, None].expand(-1, _COUNT, -1, -1, -1)
        if self.maps is not None:
            attention = self.maps(landmarks)
            attention = attention if self.refine is None else self.refine(attention)
            attended = attended * attention[:, :, None]
        pairs = self.read(self.local(attended.flatten(1, 2))).flatten(1).unflatten(1, (_COUNT, 2))
        logit = pairs[..., 1] - pairs[..., 0]
        return {"local_pair": pairs, "landmarks": landmarks, "au_logit": logit}


def au_attention(data: CachedData, split: Split) -> Arms:
    """M4. AUs from a map of the trunk, each from its own attended region; the
    controls attend to the landmarks' places alone, or to the whole map.
    """
    labels, level = data.labels, _coarsest(data, 8)
    weight = inverse_rate_weights(labels.au[split.train], labels.au_mask[split.train])
    terms = (LossTerm("pair_ce", "local_pair", "au"), LossTerm("pair_dice", "local_pair", "au"))
    arms: Arms = {}
    for name, kind in (("full", "refined"), ("not refined", "placed"), ("no attention", "none")):
        torch.manual_seed(split.seed)
        net = _Attention(level.shape[1], level.shape[2], kind)

        def loss(rows: Tensor, step: int, net: nn.Module = net) -> Tensor:
            outputs = net(level[rows])
            points = data.landmarks_49[rows]
            places = landmark_loss(outputs["landmarks"], points, torch.ones(len(rows)))
            return total_loss(terms, outputs, labels.batch(rows), weight)["loss"] + places / 2

        def predict(rows: Rows, net: nn.Module = net) -> Outputs:
            return {"au_logit": net(level[rows])["au_logit"]}

        steps = fit(
            net,
            loss,
            uniform(split.train, _BATCH),
            scorer(predict, data, split, ("AU",)),
            split.random(31),
            _CONFIG,
        )
        arms[name] = judge(predict, data, split, ("AU",), steps)
    return arms


class _Pyramid(nn.Module):
    """M6's reading of maps: means of `levels` (the last ones), joined from the top down or not."""

    def __init__(self, widths: list[int], top_down: bool, width: int = 32) -> None:
        super().__init__()
        self.top_down = TopDown(widths, width) if top_down else None
        self.plain = None
        if not top_down:
            self.plain = nn.ModuleList([nn.Conv2d(each, width, 1) for each in widths])
        self.drop = nn.Dropout(0.3)
        self.heads = SelfCureHeads((len(widths) + top_down) * width, False)

    def forward(self, maps: list[Tensor]) -> Outputs:
        if self.top_down is not None:
            levels = self.top_down(maps)
        else:
            assert self.plain is not None
            levels = [layer(level) for layer, level in zip(self.plain, maps, strict=True)]
        means = torch.cat([torch.relu(level).mean(dim=(2, 3)) for level in levels], dim=1)
        au, expression, va, _ = self.heads(self.drop(means))
        return {"au_logit": au, "expression_logit": expression[:, :7], "va": va}


def pyramid(data: CachedData, split: Split) -> Arms:
    """M6. All tasks from maps of the trunk's levels; the controls read the last level alone, or
    all levels without the path from coarse to fine.
    """
    arms: Arms = {}
    for name, first, top_down in (
        ("full", 0, True),
        ("last level only", len(data.maps) - 1, True),
        ("no top-down path", 0, False),
    ):
        levels = data.maps[first:]
        torch.manual_seed(split.seed)
        net = _Pyramid([level.shape[1] for level in levels], top_down)

        def run(rows: Rows | Tensor, net: nn.Module = net, levels=levels) -> Outputs:  # type: ignore[no-untyped-def]
            outputs: Outputs = net([level[rows] for level in levels])
            return outputs

        arms[name] = _fit_all_tasks(net, run, data, split, 32)
    return arms


class _Clip(nn.Module):
    """M5's (2+1)D convolutions over the last maps of a clip [N, T, C, H, W]."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, width, 1)
        self.layers = nn.Sequential(*self._block(width), *self._block(width))
        self.drop = nn.Dropout(0.3)
        self.heads = SelfCureHeads(width, False)

    @staticmethod
    def _block(width: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for kernel, padding in (((1, 3, 3), (0, 1, 1)), ((3, 1, 1), (1, 0, 0))):
            layers += [
                nn.Conv3d(width, width, kernel, padding=padding, bias=False),
                nn.BatchNorm3d(width),
                nn.ReLU(),
            ]
        return layers

    def forward(self, clips: Tensor) -> Outputs:
        reduced = self.reduce(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])
        pooled = self.layers(reduced.transpose(1, 2)).mean(dim=(2, 3, 4))
        au, expression, va, _ = self.heads(self.drop(pooled))
        return {"au_logit": au, "expression_logit": expression[:, :7], "va": va}


def clip_rows(data: CachedData) -> Rows:
    """Rows [N, 8] of the clip that ends at each row; the first frame of a video is repeated."""
    clips = np.empty((len(data.person), FRAMES), np.int64)
    for video in data.videos:
        place = np.arange(len(video))[:, None] - np.arange(FRAMES)[::-1]
        clips[video] = video[np.maximum(place, 0)]
    return clips


def clip(data: CachedData, split: Split) -> Arms:
    """M5. All tasks from a coarse map of eight frames, against one frame repeated."""
    level = _coarsest(data, 4)
    arms: Arms = {}
    for name, rows_of in (
        ("full", clip_rows(data)),
        ("one frame, repeated", np.repeat(np.arange(len(data.person))[:, None], FRAMES, axis=1)),
    ):
        torch.manual_seed(split.seed)
        net = _Clip(level.shape[1])
        index = torch.from_numpy(rows_of)

        def run(rows: Rows | Tensor, net: nn.Module = net, index: Tensor = index) -> Outputs:
            outputs: Outputs = net(level[index[rows]])
            return outputs

        arms[name] = _fit_all_tasks(net, run, data, split, 33)
    return arms


def _fit_all_tasks(net: nn.Module, run, data: CachedData, split: Split, stream: int):  # type: ignore[no-untyped-def]
    steps = fit(
        net,
        lambda rows, step: total_loss(TERMS, run(rows), data.labels.batch(rows))["loss"],
        uniform(split.train, _BATCH),
        scorer(run, data, split, ALL_TASKS),
        split.random(stream),
        _CONFIG,
    )
    return judge(run, data, split, ALL_TASKS, steps)

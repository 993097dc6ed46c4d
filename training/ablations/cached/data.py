"""Features and labels of RenderWild for ablations, and splits of its people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.ablations.full_ground_truth import FullGroundTruth, read_full_ground_truth
from training.ablations.scenarios import ScenarioData
from training.ablations.transformed_images import transformed_images
from training.audio.mel_track import MelTracks
from training.datasets.frame_table import FrameTable
from training.datasets.image_store import build_store
from training.methods.features import (
    FEATURES_FILE,
    Arrays,
    FrozenTrunk,
    extract_features,
    read_all,
    read_features,
    write_features,
)
from training.models.encoders.au_attention import POINTS

Rows = NDArray[np.int64]
TUNE_FRACTION = 0.15
TEST_FRACTION = 0.25


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of all rows under the names that losses expect."""

    au: Tensor  # [N, 12]
    au_mask: Tensor  # [N, 12]
    expression: Tensor  # [N]
    expression_mask: Tensor  # [N]
    va: Tensor  # [N, 2]
    va_mask: Tensor  # [N]

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        return {name: getattr(self, name)[rows] for name in self.__slots__}

    def masked(self, au: NDArray[np.bool_], expression: NDArray[np.bool_], va: NDArray[np.bool_]):  # type: ignore[no-untyped-def]
        """The labels where the masks [N] of the tasks are true."""
        keep = [torch.from_numpy(each).float() for each in (au, expression, va)]
        return replace(
            self,
            au_mask=self.au_mask * keep[0][:, None],
            expression_mask=self.expression_mask * keep[1],
            va_mask=self.va_mask * keep[2],
        )


@dataclass(frozen=True, slots=True)
class CachedData:
    """Frames in the order of `table`; `videos` are its rows by video, in order of time."""

    table: FrameTable
    features: Tensor  # [N, D], standardized
    nodes: Tensor | None  # [N, 12, W]
    labels: Labels
    person: NDArray[np.int64]  # [N]
    videos: tuple[Rows, ...]
    log_mel: tuple[Tensor, ...]  # of each video [M, 64]
    mel_arrived: Tensor  # [N]
    landmarks_49: Tensor  # [N, 49, 2] in crop sides
    maps: tuple[Tensor, ...] = ()  # of the trunk's levels [N, C, H, W], finest first

    @property
    def people(self) -> int:
        return int(self.person.max()) + 1


@dataclass(frozen=True, slots=True)
class Split:
    """Rows by people: to train on, to choose thresholds and the best step on, to judge."""

    train: Rows
    tune: Rows
    test: Rows
    seed: int

    def random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream])


def split_people(data: CachedData, seed: int) -> Split:
    """A random split of the people: 60, 15 and 25 %."""
    order = np.random.default_rng([seed, 5]).permutation(data.people)
    tune, test = (round(data.people * each) for each in (TUNE_FRACTION, TEST_FRACTION))
    parts = np.split(order, [len(order) - tune - test, len(order) - test])
    rows = [np.flatnonzero(np.isin(data.person, part)) for part in parts]
    return Split(rows[0], rows[1], rows[2], seed)


def open_cached_data(
    folder: Path, trunk: FrozenTrunk, work: Path, corruption: str = "", with_maps: bool = False
) -> CachedData:
    """Features of a RenderWild folder, written to `work` on first use; `corruption` of the images
    is one of `corrupted_images`.
    """
    truth = read_full_ground_truth(folder, work / "cache")
    out = work / "features" / f"{folder.name}-{trunk.sha256[:12]}{corruption and '-' + corruption}"
    if not (out / FEATURES_FILE).is_file():
        images = build_store(truth.table, trunk.size_px, work / "cache" / "images", False)[0]
        if corruption:
            scenario = ScenarioData(
                truth.table,
                truth.table.select(np.zeros(0, np.int64)),
                truth.landmarks_xy,
                corruption=corruption,
                parameters=np.ones(len(truth), np.float32),
            )
            images = transformed_images(images, scenario, work / "cache" / "scenarios")
        tracks = MelTracks(folder=work / "cache" / "mel", max_cached=512)
        arrays = extract_features(trunk, truth.table, images, tracks)
        write_features(out, trunk, truth.table, arrays, {"corruption": corruption})
    data = cached_data(truth, read_features(out, truth.table))
    return replace(data, maps=_maps(truth, trunk, work, out)) if with_maps else data


def _maps(
    truth: FullGroundTruth, trunk: FrozenTrunk, work: Path, features: Path
) -> tuple[Tensor, ...]:
    """Maps of the trunk for all rows, standardized by channel, in a folder beside its features."""
    assert trunk.read_maps is not None
    out = features.with_name(f"{features.name}-maps")
    if not (out / FEATURES_FILE).is_file():
        images = build_store(truth.table, trunk.size_px, work / "cache" / "images", False)[0]
        arrays = read_all(trunk.read_maps, truth.table, images)
        write_features(out, trunk, truth.table, arrays, {"corruption": ""})
    levels = []
    for _, values in sorted(read_features(out, truth.table).items()):
        level = torch.from_numpy(values.astype(np.float32))
        mean, std = level.mean(dim=(0, 2, 3)), level.std(dim=(0, 2, 3)).clamp(min=1e-3)
        levels.append((level - mean[:, None, None]) / std[:, None, None])
    return tuple(levels)


def cached_data(truth: FullGroundTruth, arrays: Arrays) -> CachedData:
    table = truth.table
    features = torch.from_numpy(arrays["features"].astype(np.float32))
    features = (features - features.mean(dim=0)) / features.std(dim=0).clamp(min=1e-3)
    nodes = arrays.get("nodes")
    start = arrays["mel_start"]
    mel = torch.from_numpy(arrays["log_mel"].astype(np.float32))
    order = np.lexsort((table.frame, table.video))
    return CachedData(
        table,
        features,
        None if nodes is None else torch.from_numpy(nodes.astype(np.float32)),
        Labels(
            torch.from_numpy(table.au),
            torch.from_numpy(table.au_mask.astype(np.float32)),
            torch.from_numpy(table.expression.astype(np.int64)),
            torch.from_numpy(table.expression_mask.astype(np.float32)),
            torch.from_numpy(table.va),
            torch.from_numpy(table.va_mask.astype(np.float32)),
        ),
        np.unique(np.array(table.groups)[table.video], return_inverse=True)[1],
        tuple(np.split(order, np.flatnonzero(np.diff(table.video[order])) + 1)),
        tuple(mel[start[k] : start[k + 1]] for k in range(len(start) - 1)),
        torch.from_numpy(arrays["mel_arrived"].astype(np.int64)),
        torch.from_numpy(truth.landmarks_xy[:, list(POINTS)]),
    )

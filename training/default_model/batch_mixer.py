"""Batches: faces of several sources in fixed shares, cut by jittered maps, with crops that hold no
face among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceaffect.geometry import TEMPLATE_SIZE_PX, estimate_crop_to_frame, keypoints_from_landmarks
from training.augmentation.crops import (
    CropJitter,
    perturb_maps,
    occlude,
    sample_crops,
    jitter_maps,
    points_to_crops,
    photometric_jitter,
    jpeg_compress,
)
from training.datasets.face_table import FaceTable
from training.models.mean_shape import FLIP_ORDER

_BORDERS = ("zeros", "border", "reflection")


@dataclass(frozen=True, slots=True)
class Source:
    """A table, how many of its faces a batch holds, and how likely each is drawn."""

    table: FaceTable
    count: int
    probability: NDArray[np.float64]  # [N], sums to 1


def balanced(expression: NDArray[np.float32], power: float) -> NDArray[np.float64]:
    """Probabilities [N] that lift faces of rare expressions by (1 / frequency) ** power."""
    frequency = expression.mean(axis=0) + 1e-6
    weight = (expression @ (1 / frequency**power)).astype(np.float64)
    return np.asarray(weight / weight.sum())


def au_balanced_weights(au: NDArray[np.float32], power: float) -> NDArray[np.float64]:
    """Probabilities [N] that lift faces with rare action units: by the rarest one shown, (1 /
    frequency) ** power.
    """
    frequency = au.mean(axis=0) + 1e-3
    lift = (frequency.max() / frequency) ** power
    weight = np.maximum(au * lift, 1).max(axis=1).astype(np.float64)
    return np.asarray(weight / weight.sum())


class BatchMaker:
    """Makes batch number `step`; the same seed and step give the same batch, so a run can go on
    where it stopped.
    """

    def __init__(
        self,
        sources: list[Source],
        no_face_count: int,
        seed: int,
        jitter: CropJitter,
        blend_share: float = 0.0,
    ) -> None:
        self._sources = sources
        self._blend_share = blend_share
        self._no_face_count = no_face_count
        self._seed = seed
        self._jitter = jitter
        self._maps = [_aligned_maps(source.table) for source in sources]

    def make(self, step: int, size_px: int) -> dict[str, Tensor]:
        """Crops [B, 3, S, S] in 0..1 and targets, for a network that takes crops of `size_px`."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        random = np.random.default_rng([self._seed, step])
        parts = [self._draw(i, size_px, generator, random) for i in range(len(self._sources))]
        parts.append(self._misplaced(size_px, generator, random))
        batch = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        _flip(batch, generator)
        crops = occlude(photometric_jitter(batch["crops"], generator), 0.2, generator)
        batch["crops"] = jpeg_compress(crops, 0.12, generator)
        _blend(
            batch,
            self._blend_share,
            random,
            np.repeat(np.arange(len(parts)), [len(part["face"]) for part in parts]),
        )
        return batch

    def _draw(
        self, number: int, size_px: int, generator: torch.Generator, random: np.random.Generator
    ) -> dict[str, Tensor]:
        source = self._sources[number]
        rows = random.choice(len(source.table), source.count, p=source.probability)
        maps = jitter_maps(self._maps[number][rows], self._jitter, generator)
        return _assemble(source.table, rows, maps, size_px, _BORDERS[int(random.integers(3))])

    def _misplaced(
        self, size_px: int, generator: torch.Generator, random: np.random.Generator
    ) -> dict[str, Tensor]:
        """Crops beside, far around, deep inside or across faces, and made-up textures: none of them
        is a face.
        """
        number = int(random.integers(len(self._sources)))
        source = self._sources[number]
        rows = random.choice(len(source.table), self._no_face_count)
        count = len(rows)
        kind = random.integers(0, 4, count)
        turn = np.where(kind == 3, random.uniform(1.6, 4.7, count), random.normal(0, 0.2, count))
        scale = np.exp(random.normal(0, 0.15, count))
        scale = np.where(
            kind == 1,
            random.uniform(2.2, 4.0, count),
            np.where(kind == 2, random.uniform(0.15, 0.4, count), scale),
        )
        angle = random.uniform(0, 2 * np.pi, count)
        reach = (
            np.where(kind == 0, random.uniform(0.6, 1.3, count), random.uniform(0, 0.2, count))
            * TEMPLATE_SIZE_PX
        )
        shift = np.stack([np.cos(angle), np.sin(angle)], axis=1) * reach[:, None]
        as_tensor = [torch.from_numpy(a.astype(np.float32)) for a in (turn, scale, shift)]
        maps = perturb_maps(self._maps[number][rows], *as_tensor)
        part = _assemble(source.table, rows, maps, size_px, _BORDERS[int(random.integers(3))])
        for name, value in part.items():
            if name.endswith("weight") or name == "face":
                part[name] = torch.zeros_like(value)
        made_up = max(1, count // 4)
        part["crops"][:made_up] = _textures(made_up, size_px, generator)
        return part


def _aligned_maps(table: FaceTable) -> Tensor:
    return torch.from_numpy(estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy)))


def _assemble(
    table: FaceTable, rows: NDArray[np.int64], maps: Tensor, size_px: int, border: str
) -> dict[str, Tensor]:
    images = torch.from_numpy(table.images[rows]).float()
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    landmarks = torch.from_numpy(table.landmarks_xy[rows])
    pose = torch.from_numpy(table.pose_deg[rows]).clone()
    roll = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    pose[:, 2] = (pose[:, 2] - roll + 180) % 360 - 180
    part = {
        "crops": (sample_crops(images, maps, size_px, border) / 255).expand(-1, 3, -1, -1).contiguous(),
        "landmarks": points_to_crops(maps, landmarks),
        "pose": pose,
    }
    names = (
        "landmark_weight",
        "pose_weight",
        "au",
        "au_weight",
        "expression",
        "expression_weight",
        "va",
        "va_weight",
        "face",
    )
    return part | {name: torch.from_numpy(getattr(table, name)[rows]) for name in names}


def _flip(batch: dict[str, Tensor], generator: torch.Generator) -> None:
    """Mirror half of the batch in place: left and right change names with it."""
    rows = torch.rand(len(batch["crops"]), generator=generator) < 0.5
    batch["crops"][rows] = batch["crops"][rows].flip(3)
    landmarks = batch["landmarks"][rows][:, list(FLIP_ORDER)].clone()
    landmarks[:, :, 0] = TEMPLATE_SIZE_PX - 1 - landmarks[:, :, 0]
    batch["landmarks"][rows] = landmarks
    batch["pose"][rows] = batch["pose"][rows] * torch.tensor([-1.0, 1.0, -1.0])


def _blend(
    batch: dict[str, Tensor], share: float, random: np.random.Generator, source: NDArray[np.int64]
) -> None:
    """Blend a share of the faces that have an expression with others of their source [N], in place
    (mixup, Zhang et al. 2018).

    What two images can share is blended with them: expression, action units, valence and
    arousal. Landmarks, pose and the face score of a double exposure mean nothing, so they are
    not learned there; nor is an AU that is unknown of either.
    """
    rows = np.flatnonzero(batch["expression_weight"].numpy() > 0)
    rows = random.permutation(rows)[: round(share * len(rows))]
    groups = [rows[source[rows] == each] for each in np.unique(source[rows])]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return
    rows, others = np.concatenate(groups), np.concatenate([np.roll(group, 1) for group in groups])
    part = torch.from_numpy(random.beta(0.5, 0.5, len(rows)).astype(np.float32))
    both_known = (batch["au_weight"][rows] > 0) & (batch["au_weight"][others] > 0)
    for name in ("crops", "expression", "expression_weight", "va", "va_weight", "au", "au_weight"):
        value = batch[name]
        own = part.reshape(-1, *[1] * (value.ndim - 1))
        value[rows] = own * value[rows] + (1 - own) * value[others]
    batch["au_weight"][rows] *= both_known
    for name in ("landmark_weight", "pose_weight"):
        batch[name][rows] = 0


def _textures(count: int, size_px: int, generator: torch.Generator) -> Tensor:
    """Noise of several scales, from flat sky to grain, [count, 3, S, S]."""
    total = torch.rand(count, 3, 1, 1, generator=generator)
    for cells in (2, 5, 11, 28):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        strength = torch.rand(count, 1, 1, 1, generator=generator) ** 3 * 0.4
        total = total + strength * torch.nn.functional.interpolate(
            noise, (size_px, size_px), mode="bilinear"
        )
    return total.expand(-1, -1, size_px, size_px).clamp(0, 1)

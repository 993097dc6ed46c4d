"""Jittered batches with fixed numbers of faces from each source and of crops without a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from faceaffect.geometry import TEMPLATE_SIZE_PX, estimate_crop_to_frame, keypoints_from_landmarks
from training.augmentation.crops import (
    CropJitter,
    jitter_transforms,
    jpeg_compress,
    occlude,
    perturb_transforms,
    photometric_jitter,
    points_to_crops,
    sample_crops,
)
from training.datasets.face_table import TARGET_SHAPES, FaceTable
from training.default_model.recipe import Schedule
from training.models.mean_shape import FLIP_ORDER

_BORDERS = ("zeros", "border", "reflection")


@dataclass(frozen=True, slots=True)
class Source:
    """A table, the number of its faces in a batch, and the probability of drawing each."""

    table: FaceTable
    count: int
    probability: NDArray[np.float64]  # [N], sums to 1


def class_balanced_weights(expression: NDArray[np.float32], power: float) -> NDArray[np.float64]:
    """Probabilities [N] that oversample rare expressions by (1 / frequency) ** power."""
    frequency = expression.mean(axis=0) + 1e-6
    weight = (expression @ (1 / frequency**power)).astype(np.float64)
    return np.asarray(weight / weight.sum())


def au_balanced_weights(au: NDArray[np.float32], power: float) -> NDArray[np.float64]:
    """Probabilities [N] that oversample faces by their rarest active unit: (1 / frequency) **
    power.
    """
    frequency = au.mean(axis=0) + 1e-3
    gain = (frequency.max() / frequency) ** power
    weight = np.maximum(au * gain, 1).max(axis=1).astype(np.float64)
    return np.asarray(weight / weight.sum())


class BatchMixer:
    """Builds batches by step number; the same seed and step return the same batch."""

    def __init__(
        self,
        sources: list[Source],
        no_face_count: int,
        seed: int,
        jitter: CropJitter,
        mixup_fraction: float = 0.0,
    ) -> None:
        self._sources = sources
        self._mixup_fraction = mixup_fraction
        self._no_face_count = no_face_count
        self._seed = seed
        self._jitter = jitter
        self._crops_to_frames = [_aligned_crops(source.table) for source in sources]

    def build(self, step: int, size_px: int) -> dict[str, Tensor]:
        """Crops [B, 3, S, S] in 0..1 and targets, for a network that takes crops of `size_px`."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        random = np.random.default_rng([self._seed, step])
        parts = [self._draw(i, size_px, generator, random) for i in range(len(self._sources))]
        parts.append(self._draw_no_faces(size_px, generator, random))
        batch = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        flip_half(batch, generator)
        crops = occlude(photometric_jitter(batch["crops"], generator), 0.2, generator)
        batch["crops"] = jpeg_compress(crops, 0.12, generator)
        source = np.repeat(np.arange(len(parts)), [len(part["face"]) for part in parts])
        mixup(batch, self._mixup_fraction, random, source)
        return batch

    def _draw(
        self, number: int, size_px: int, generator: torch.Generator, random: np.random.Generator
    ) -> dict[str, Tensor]:
        source = self._sources[number]
        rows = random.choice(len(source.table), source.count, p=source.probability)
        crop_to_frame = jitter_transforms(
            self._crops_to_frames[number][rows], self._jitter, generator
        )
        return _assemble(
            source.table, rows, crop_to_frame, size_px, _BORDERS[int(random.integers(3))]
        )

    def _draw_no_faces(
        self, size_px: int, generator: torch.Generator, random: np.random.Generator
    ) -> dict[str, Tensor]:
        """Crops beside, far around, deep inside or across faces, and synthetic textures."""
        number = int(random.integers(len(self._sources)))
        table = self._sources[number].table
        rows = random.choice(len(table), self._no_face_count)
        count = len(rows)
        crop_to_frame = _misplace(self._crops_to_frames[number][rows], random)
        part = _assemble(table, rows, crop_to_frame, size_px, _BORDERS[int(random.integers(3))])
        for name, value in part.items():
            if name.endswith("weight") or name == "face":
                part[name] = torch.zeros_like(value)
        textures = max(1, count // 4)
        part["crops"][:textures] = _textures(textures, size_px, generator)
        return part


class MixedBatches:
    """The `BatchSource` of a mixer; an epoch is the whole run."""

    def __init__(self, mixer: BatchMixer, schedule: Schedule) -> None:
        self.steps_per_epoch = schedule.steps
        self._steps = _StepDataset(mixer, schedule)
        self._workers = schedule.batch_workers
        self._prefetched: Iterator[dict[str, Tensor]] = iter(())
        self._next_step = -1

    def get(self, step: int) -> Sequence[dict[str, Tensor]]:
        """The batch of a step, built by worker processes if there are any."""
        if not self._workers:
            return [self._steps[step]]
        if step != self._next_step:
            order = range(step, self.steps_per_epoch)
            loader = DataLoader(
                self._steps, batch_size=None, sampler=order, num_workers=self._workers
            )
            self._prefetched = iter(loader)
        self._next_step = step + 1
        return [next(self._prefetched)]

    def small_crops(self, step: int) -> Tensor:
        """Crops [B, 3, S, S] of the schedule's small size."""
        return self._steps.mixer.build(step, self._steps.schedule.small_px)["crops"]


class _StepDataset(Dataset[dict[str, Tensor]]):
    """Batches by step."""

    def __init__(self, mixer: BatchMixer, schedule: Schedule) -> None:
        self.mixer, self.schedule = mixer, schedule

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        is_small = step < self.schedule.small_until * self.schedule.steps
        return self.mixer.build(step, self.schedule.small_px if is_small else TEMPLATE_SIZE_PX)


def _misplace(crop_to_frame: Tensor, random: np.random.Generator) -> Tensor:
    """Transforms [N, 2, 3] of crops beside, far around, deep inside or across the faces."""
    count = len(crop_to_frame)
    kind = random.integers(0, 4, count)
    turn = np.where(kind == 3, random.uniform(1.6, 4.7, count), random.normal(0, 0.2, count))
    scale = np.exp(random.normal(0, 0.15, count))
    scale = np.where(
        kind == 1,
        random.uniform(2.2, 4.0, count),
        np.where(kind == 2, random.uniform(0.15, 0.4, count), scale),
    )
    angle = random.uniform(0, 2 * np.pi, count)
    distance = np.where(kind == 0, random.uniform(0.6, 1.3, count), random.uniform(0, 0.2, count))
    shift = (
        np.stack([np.cos(angle), np.sin(angle)], axis=1) * (distance * TEMPLATE_SIZE_PX)[:, None]
    )
    as_tensors = [torch.from_numpy(a.astype(np.float32)) for a in (turn, scale, shift)]
    return perturb_transforms(crop_to_frame, *as_tensors)


def _aligned_crops(table: FaceTable) -> Tensor:
    return torch.from_numpy(estimate_crop_to_frame(keypoints_from_landmarks(table.landmarks_xy)))


def _assemble(
    table: FaceTable, rows: NDArray[np.int64], crop_to_frame: Tensor, size_px: int, border: str
) -> dict[str, Tensor]:
    images = torch.from_numpy(table.images[rows]).float()
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    landmarks = torch.from_numpy(table.landmarks_xy[rows])
    pose = torch.from_numpy(table.pose_deg[rows]).clone()
    roll = torch.rad2deg(torch.atan2(crop_to_frame[:, 1, 0], crop_to_frame[:, 0, 0]))
    pose[:, 2] = (pose[:, 2] - roll + 180) % 360 - 180
    part = {
        "crops": (sample_crops(images, crop_to_frame, size_px, border) / 255)
        .expand(-1, 3, -1, -1)
        .contiguous(),
        "landmarks": points_to_crops(crop_to_frame, landmarks),
        "pose": pose,
    }
    names = TARGET_SHAPES.keys() - {"pose_deg"}
    return part | {name: torch.from_numpy(getattr(table, name)[rows]) for name in names}


def flip_half(batch: dict[str, Tensor], generator: torch.Generator) -> None:
    """Mirror half of the batch in place; left and right landmarks swap."""
    rows = torch.rand(len(batch["crops"]), generator=generator) < 0.5
    batch["crops"][rows] = batch["crops"][rows].flip(3)
    landmarks = batch["landmarks"][rows][:, list(FLIP_ORDER)].clone()
    landmarks[:, :, 0] = TEMPLATE_SIZE_PX - 1 - landmarks[:, :, 0]
    batch["landmarks"][rows] = landmarks
    batch["pose"][rows] = batch["pose"][rows] * torch.tensor([-1.0, 1.0, -1.0])


def mixup(
    batch: dict[str, Tensor],
    fraction: float,
    random: np.random.Generator,
    source: NDArray[np.int64],
) -> None:
    """Blend a fraction of the faces that have an expression with others of their source [N], in
    place (mixup, Zhang et al. 2018).

    Expression, action units, valence and arousal are blended with the images. Landmarks, pose and
    an AU that is unknown in either face get weight 0.
    """
    rows = np.flatnonzero(batch["expression_weight"].numpy() > 0)
    rows = random.permutation(rows)[: round(fraction * len(rows))]
    groups = [rows[source[rows] == each] for each in np.unique(source[rows])]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return
    rows = np.concatenate(groups)
    others = np.concatenate([np.roll(group, 1) for group in groups])
    alpha = torch.from_numpy(random.beta(0.5, 0.5, len(rows)).astype(np.float32))
    both_known = (batch["au_weight"][rows] > 0) & (batch["au_weight"][others] > 0)
    for name in ("crops", "expression", "expression_weight", "va", "va_weight", "au", "au_weight"):
        value = batch[name]
        weight = alpha.reshape(-1, *[1] * (value.ndim - 1))
        value[rows] = weight * value[rows] + (1 - weight) * value[others]
    batch["au_weight"][rows] *= both_known
    for name in ("landmark_weight", "pose_weight"):
        batch[name][rows] = 0


def _textures(count: int, size_px: int, generator: torch.Generator) -> Tensor:
    """Noise of several scales, from flat sky to grain [count, 3, S, S]."""
    total = torch.rand(count, 3, 1, 1, generator=generator)
    for cells in (2, 5, 11, 28):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        strength = torch.rand(count, 1, 1, 1, generator=generator) ** 3 * 0.4
        total = total + strength * torch.nn.functional.interpolate(
            noise, (size_px, size_px), mode="bilinear"
        )
    return total.expand(-1, -1, size_px, size_px).clamp(0, 1)

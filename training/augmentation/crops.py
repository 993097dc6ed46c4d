"""Augmentation of still images: jittered crops, color, blur, noise, occlusion, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from faceaffect.geometry import TEMPLATE_SIZE_PX


@dataclass(frozen=True, slots=True)
class CropJitter:
    """Standard deviations of the crop transform about the aligned one, clipped at 2.5 sigma.

    At run time a crop is placed by the landmarks of the previous frame, or by the detector's
    coarse keypoints; the latter are simulated by `coarse_factor` times the jitter.
    """

    shift: float = 0.035  # fraction of the crop side
    scale: float = 0.06  # of the log scale
    rotation_deg: float = 6.0
    coarse_fraction: float = 0.25
    coarse_factor: float = 2.6


def jitter_transforms(transforms: Tensor, jitter: CropJitter, generator: torch.Generator) -> Tensor:
    """Randomly shifted, rotated and scaled crop-to-image transforms [N, 2, 3]."""
    count = len(transforms)
    factor = torch.where(
        torch.rand(count, generator=generator) < jitter.coarse_fraction, jitter.coarse_factor, 1.0
    )
    noise = torch.randn(count, 4, generator=generator).clamp(-2.5, 2.5) * factor[:, None]
    turn = torch.deg2rad(noise[:, 0] * jitter.rotation_deg)
    scale = torch.exp(noise[:, 1] * jitter.scale)
    return perturb_transforms(
        transforms, turn, scale, noise[:, 2:] * jitter.shift * TEMPLATE_SIZE_PX
    )


def perturb_transforms(transforms: Tensor, turn: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Maps [N, 2, 3] rotated (radians), scaled and shifted [N, 2] (px) about the crop center."""
    cos, sin = scale * torch.cos(turn), scale * torch.sin(turn)
    linear = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    center = torch.full((2,), (TEMPLATE_SIZE_PX - 1) / 2)
    offset = center + shift - torch.einsum("nij,j->ni", linear, center)
    moved = torch.matmul(transforms[:, :, :2], linear)
    return torch.cat(
        [
            moved,
            torch.einsum("nij,nj->ni", transforms[:, :, :2], offset)[:, :, None]
            + transforms[:, :, 2:],
        ],
        dim=2,
    )


def sample_crops(images: Tensor, transforms: Tensor, size_px: int, border: str) -> Tensor:
    """Bilinear crops [N, C, size, size] of images [N, C, P, P]; transforms are of 112 px crops."""
    ratio = TEMPLATE_SIZE_PX / size_px
    steps = (torch.arange(size_px) + 0.5) * ratio - 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    positions = torch.einsum("nij,pj->npi", transforms, points)
    grid = ((positions + 0.5) * (2 / images.shape[-1]) - 1).reshape(
        len(transforms), size_px, size_px, 2
    )
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode=border, align_corners=False
    )


def points_to_crops(transforms: Tensor, points: Tensor) -> Tensor:
    """Image points [N, L, 2] in crop pixels, by crop-to-image transforms [N, 2, 3]."""
    inverse = torch.linalg.inv(transforms[:, :, :2])
    return torch.einsum("nij,nlj->nli", inverse, points - transforms[:, None, :, 2])


def photometric_jitter(crops: Tensor, generator: torch.Generator) -> Tensor:
    """Randomly change light, color, resolution, blur and noise of crops [N, 3, S, S] in 0..1."""
    count, _, size_px, _ = crops.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    def chosen(fraction: float) -> Tensor:
        return (torch.rand(count, generator=generator) < fraction)[:, None, None, None]

    gray = (crops * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    crops = torch.where(chosen(0.3), gray, crops)
    crops = crops * torch.where(chosen(0.5), uniform(0.85, 1.15, 3, 1, 1), torch.ones(1))
    mean = crops.mean(dim=(1, 2, 3), keepdim=True)
    contrast = uniform(0.6, 1.4, 1, 1, 1)
    crops = crops * contrast + mean * (uniform(0.65, 1.35, 1, 1, 1) - contrast)
    crops = crops.clamp_(1e-4, 1)
    # The following effects are computed for the affected rows only.
    rows = _some_rows(count, 0.7, generator)
    crops[rows] = crops[rows] ** uniform(0.7, 1.4, 1, 1, 1)[rows]
    # Soft light from one side.
    ramp = torch.linspace(-1, 1, size_px)
    rows = _some_rows(count, 0.4, generator)
    down, across = uniform(-0.25, 0.25, 1, 1, 1)[rows], uniform(-0.3, 0.3, 1, 1, 1)[rows]
    crops[rows] *= 1 + down * ramp[:, None] + across * ramp
    # Low resolution: down- and upsampling through one size per batch.
    small = int(torch.randint(24, 64, (1,), generator=generator))
    rows = _some_rows(count, 0.25, generator)
    coarse = functional.interpolate(
        crops[rows], (small, small), mode="bilinear", antialias=True, align_corners=False
    )
    crops[rows] = functional.interpolate(
        coarse, (size_px, size_px), mode="bilinear", align_corners=False
    )
    kernel = _motion_kernel(generator).expand(3, 1, 7, 7)
    rows = _some_rows(count, 0.15, generator)
    crops[rows] = functional.conv2d(
        functional.pad(crops[rows], (3, 3, 3, 3), mode="replicate"), kernel, groups=3
    )
    rows = _some_rows(count, 0.4, generator)
    noise = torch.randn(len(rows), 3, size_px, size_px, generator=generator)
    crops[rows] += noise * uniform(0.0, 0.05, 1, 1, 1)[rows]
    return crops.clamp_(0, 1)


def jpeg_compress(crops: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Apply JPEG compression of quality 15 to 75 in place to a fraction of crops [N, 3, S, S].

    Crops are RGB in 0..1. Simulates low-bit-rate video.
    """
    for row in _some_rows(len(crops), fraction, generator).tolist():
        quality = int(torch.randint(15, 76, (1,), generator=generator))
        pixels = (crops[row].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
        crops[row] = (
            torch.from_numpy(np.ascontiguousarray(decoded[:, :, ::-1])).permute(2, 0, 1).float()
            / 255
        )
    return crops


def _some_rows(count: int, fraction: float, generator: torch.Generator) -> Tensor:
    """Random row indices, a fraction of all but at least one."""
    return torch.randperm(count, generator=generator)[: max(1, round(count * fraction))]


def _motion_kernel(generator: torch.Generator) -> Tensor:
    """A random 7 x 7 motion or Gaussian blur kernel that sums to one."""
    steps = torch.arange(7) - 3.0
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    angle, along, across = torch.rand(3, generator=generator) * torch.tensor(
        [3.1416, 2.5, 1.0]
    ) + torch.tensor([0, 0.8, 0.3])
    u, v = x * torch.cos(angle) + y * torch.sin(angle), -x * torch.sin(angle) + y * torch.cos(angle)
    kernel = torch.exp(-(u**2) / (2 * along**2) - v**2 / (2 * across**2))
    return kernel / kernel.sum()


def occlude(crops: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Copy of crops [N, 3, S, S]; a fraction is occluded by a rotated rectangle or ellipse."""
    rows = _some_rows(len(crops), fraction, generator)
    count, size_px = len(rows), crops.shape[-1]
    random = torch.rand(count, 9, generator=generator)
    steps = torch.linspace(0, 1, size_px)
    y, x = steps[None, :, None], steps[None, None, :]
    angle = random[:, 0, None, None] * 3.1416
    dx, dy = x - random[:, 1, None, None], y - (0.25 + 0.75 * random[:, 2, None, None])
    u = (dx * torch.cos(angle) + dy * torch.sin(angle)) / (0.08 + 0.25 * random[:, 3, None, None])
    v = (dy * torch.cos(angle) - dx * torch.sin(angle)) / (0.05 + 0.15 * random[:, 4, None, None])
    inside = torch.where(
        random[:, 5, None, None] < 0.5, (u**2 + v**2) < 1, (u.abs() < 1) & (v.abs() < 1)
    )[:, None]
    color = random[:, 6:9, None, None] + 0.1 * torch.randn(
        count, 3, size_px, size_px, generator=generator
    )
    crops = crops.clone()
    crops[rows] = torch.where(inside, color.clamp(0, 1), crops[rows])
    return crops

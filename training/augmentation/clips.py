"""Augmentation of clips: all frames of a clip get the same change, or it would flicker.

Parameters are drawn once per clip; a single image is a clip of one frame. The jitters of the
eight published methods are in `JITTERS`; `training.augmentation.crops` varies still images
further (resolution, noise, occlusion). Face part masks are drawn afterwards from the returned
landmarks, in which left and right are swapped for a mirrored face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from training.models.mean_shape import FLIP_ORDER

_GRAY: Final = (0.299, 0.587, 0.114)
_HSV_8BIT: Final = (180.0, 255.0, 255.0)  # ranges of OpenCV's 8-bit HSV


Changes = dict[str, Tensor]
"""Drawn changes: `transform` [B, 2, 3] from output to input pixels (absent if all are the
identity), `mirrored` [B], factors `brightness`, `contrast`, `saturation` [B], shifts `hsv` [B, 3],
`blur_sigma_px` [B], `autocontrast` [B].
"""


@dataclass(frozen=True, slots=True)
class ClipJitter:
    """Ranges of the random changes; 0 or None disables one.

    Attributes:
        flip: fraction of clips mirrored left-right.
        vertical_flip: fraction of clips mirrored upside down.
        rotate_deg: maximum rotation to either side.
        crop_area: range of the area of a random crop that is resized to the full image, as a
            fraction of the image.
        crop_ratio: range of the aspect ratio (width / height) of that crop, log-uniform.
        brightness, contrast, saturation: factors are drawn from 1 - x to 1 + x.
        hue: maximum shift as a fraction of the hue circle.
        hsv: maximum shift of hue, saturation and value in OpenCV's 8-bit units.
        blur_sigma_px: range of the sigma of a 3 x 3 Gaussian.
        autocontrast: fraction of clips scaled to the full range.
    """

    flip: float = 0.5
    vertical_flip: float = 0.0
    rotate_deg: float = 0.0
    crop_area: tuple[float, float] | None = None
    crop_ratio: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    hsv: tuple[float, float, float] | None = None
    blur_sigma_px: tuple[float, float] | None = None
    autocontrast: float = 0.0


JITTERS: Final[dict[str, ClipJitter]] = {
    "M1-AU": ClipJitter(rotate_deg=45, brightness=0.5, contrast=0.5, hue=0.5),
    "M1-EXPR-VA": ClipJitter(
        vertical_flip=0.5,
        rotate_deg=30,
        brightness=0.5,
        contrast=0.5,
        hue=0.5,
        blur_sigma_px=(0.1, 2.0),
        autocontrast=0.5,
    ),
    "M2": ClipJitter(
        crop_area=(0.6, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        hue=0.3,
    ),
    "M3": ClipJitter(),
    "M5": ClipJitter(hsv=(10, 25, 20)),
    "M6": ClipJitter(),
    "M8": ClipJitter(crop_area=((112 / 134) ** 2, (112 / 134) ** 2)),
}
"""Augmentation stated in the papers of the methods (names as in `training.methods.recipes`).

The papers of M4 and M7 state none.
"""


def augment_clips(
    clips: Tensor,
    jitter: ClipJitter,
    generator: torch.Generator,
    landmarks: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Randomly changed copies of clips with their landmarks.

    Args:
        clips: [B, T, 3, S, S] or [B, 3, S, S], RGB in 0..1; not modified.
        jitter: ranges of the changes.
        generator: random numbers.
        landmarks: [B, T, 68, 2] or [B, 68, 2], pixels.
    """
    single = clips.ndim == 4
    moved = clips[:, None] if single else clips
    if moved.ndim != 5 or moved.shape[2] != 3 or moved.shape[3] != moved.shape[4]:
        raise ValueError(f"clips must be [B, T, 3, S, S] or [B, 3, S, S], got {list(clips.shape)}")
    changes = draw_changes(len(moved), moved.shape[-1], jitter, generator)
    moved = apply_changes(moved, changes)
    points = None
    if landmarks is not None:
        points = move_landmarks(landmarks[:, None] if single else landmarks, changes)
        points = points[:, 0] if single else points
    return (moved[:, 0] if single else moved), points


def draw_changes(
    count: int, size_px: int, jitter: ClipJitter, generator: torch.Generator
) -> Changes:
    """Random changes of `count` clips, by name, each [B, ...], on the CPU."""
    transforms, is_mirrored = _transforms(count, size_px, jitter, generator)
    changes = {} if _is_identity(transforms) else {"transform": transforms}
    changes["mirrored"] = is_mirrored

    def draw(spread: float, center: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * spread + center

    for name in ("brightness", "contrast", "saturation"):
        if getattr(jitter, name):
            changes[name] = draw(getattr(jitter, name), 1)
    if jitter.hue or jitter.hsv is not None:
        spread = [jitter.hue, 0.0, 0.0]
        if jitter.hsv is not None:
            spread = [
                max(jitter.hue, jitter.hsv[0] / _HSV_8BIT[0]),
                jitter.hsv[1] / _HSV_8BIT[1],
                jitter.hsv[2] / _HSV_8BIT[2],
            ]
        changes["hsv"] = torch.stack([draw(each, 0) for each in spread], 1)
    if jitter.blur_sigma_px is not None:
        low, high = jitter.blur_sigma_px
        changes["blur_sigma_px"] = torch.rand(count, generator=generator) * (high - low) + low
    if jitter.autocontrast:
        changes["autocontrast"] = torch.rand(count, generator=generator) < jitter.autocontrast
    return changes


def apply_changes(clips: Tensor, changes: Changes) -> Tensor:
    """Changed copies of clips [B, T, 3, S, S] in 0..1, on their device, without synchronizing."""
    drawn = {name: value.to(clips.device, non_blocking=True) for name, value in changes.items()}

    def column(name: str) -> Tensor:
        return drawn[name][:, None, None, None, None]

    if "transform" in drawn:
        clips = _warp(clips, drawn["transform"])
    if "brightness" in drawn:
        clips = (clips * column("brightness")).clamp(0, 1)
    if "contrast" in drawn:
        mean = _mean_gray(clips)
        clips = (mean + (clips - mean) * column("contrast")).clamp(0, 1)
    if "saturation" in drawn:
        gray = (clips * _gray_weights(clips)).sum(2, keepdim=True)
        clips = (gray + (clips - gray) * column("saturation")).clamp(0, 1)
    if "hsv" in drawn:
        hsv = rgb_to_hsv(clips) + drawn["hsv"][:, None, :, None, None]
        clips = hsv_to_rgb(torch.cat([hsv[:, :, :1] % 1, hsv[:, :, 1:].clamp(0, 1)], 2))
    if "blur_sigma_px" in drawn:
        clips = _blur(clips, drawn["blur_sigma_px"])
    if "autocontrast" in drawn:
        clips = torch.where(column("autocontrast"), _autocontrast(clips), clips)
    return clips


def move_landmarks(landmarks: Tensor, changes: Changes) -> Tensor:
    """Landmarks [B, T, 68, 2] in pixels of the changed clips."""
    if "transform" not in changes:
        return landmarks.clone()
    return _move_landmarks(landmarks, changes["transform"], changes["mirrored"])


def _transforms(
    count: int, size_px: int, jitter: ClipJitter, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Output-to-input transforms [B, 2, 3] in pixels, and which of them mirror the face [B]."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    def signs(fraction: float) -> Tensor:
        return torch.where(uniform(0, 1) < fraction, -1.0, 1.0)

    across = signs(jitter.flip)
    down = signs(jitter.vertical_flip)
    turn = torch.deg2rad(uniform(-jitter.rotate_deg, jitter.rotate_deg))
    width = height = torch.ones(count)
    x = y = torch.zeros(count)
    if jitter.crop_area is not None:
        area = uniform(*jitter.crop_area)
        ratio = torch.exp(uniform(math.log(jitter.crop_ratio[0]), math.log(jitter.crop_ratio[1])))
        width = (area * ratio).sqrt().clamp(max=1)
        height = (area / ratio).sqrt().clamp(max=1)
        x = (uniform(0, 1) - 0.5) * (1 - width) * size_px
        y = (uniform(0, 1) - 0.5) * (1 - height) * size_px
    cos, sin = torch.cos(turn), torch.sin(turn)
    to_x = torch.stack([cos * across * width, -sin * down * height], 1)
    to_y = torch.stack([sin * across * width, cos * down * height], 1)
    linear = torch.stack([to_x, to_y], 1)
    center = torch.full((2,), (size_px - 1) / 2)
    offset = center + torch.stack([x, y], 1) - torch.einsum("nij,j->ni", linear, center)
    return torch.cat([linear, offset[:, :, None]], 2), across * down < 0


def _is_identity(transforms: Tensor) -> bool:
    return bool(torch.allclose(transforms, torch.tensor([[1.0, 0, 0], [0, 1, 0]]), atol=1e-6))


def _warp(clips: Tensor, transforms: Tensor) -> Tensor:
    count, frames, channels, size_px, _ = clips.shape
    steps = torch.arange(size_px, dtype=torch.float32, device=clips.device)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1)
    positions = torch.einsum("nij,hwj->nhwi", transforms, points)
    grid = (positions + 0.5) * (2 / size_px) - 1
    # There is one map per clip, so its frames are sampled as channels of one image.
    flat = clips.reshape(count, frames * channels, size_px, size_px)
    moved = functional.grid_sample(
        flat, grid.to(flat), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return moved.reshape(clips.shape)


def _move_landmarks(landmarks: Tensor, transforms: Tensor, is_mirrored: Tensor) -> Tensor:
    inverse = torch.linalg.inv(transforms[:, :, :2])
    moved = torch.einsum("nij,ntlj->ntli", inverse, landmarks - transforms[:, None, None, :, 2])
    return torch.where(is_mirrored[:, None, None, None], moved[:, :, list(FLIP_ORDER)], moved)


def _gray_weights(clips: Tensor) -> Tensor:
    return torch.tensor(_GRAY, device=clips.device)[:, None, None]


def _mean_gray(clips: Tensor) -> Tensor:
    """Mean gray value [B, 1, 1, 1, 1] of all frames."""
    gray = (clips * _gray_weights(clips)).sum(2).mean((2, 3))
    return (gray.sum(1) / gray.shape[1])[:, None, None, None, None]


def _autocontrast(clips: Tensor) -> Tensor:
    low = clips.amin((1, 3, 4), keepdim=True)
    high = clips.amax((1, 3, 4), keepdim=True)
    return torch.where(high > low, (clips - low) / (high - low).clamp(min=1e-6), clips)


def _blur(clips: Tensor, sigma_px: Tensor) -> Tensor:
    _, frames, channels, size_px, _ = clips.shape
    steps = torch.tensor([-1.0, 0, 1], device=clips.device)
    line = torch.exp(-(steps**2) / (2 * sigma_px.clamp(min=1e-3)[:, None] ** 2))
    line = line / line.sum(1, keepdim=True)
    kernel = (line[:, :, None] * line[:, None, :]).repeat_interleave(frames * channels, 0)[:, None]
    flat = functional.pad(clips.reshape(1, -1, size_px, size_px), (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(flat, kernel.to(flat), groups=flat.shape[1]).reshape(clips.shape)


def rgb_to_hsv(rgb: Tensor) -> Tensor:
    """Hue, saturation, value in 0..1 of [..., 3, H, W] in 0..1 (hexcone model, Smith 1978).

    Own code because kornia, which has it, is no dependency for two functions.
    """
    value, largest = rgb.max(-3)
    spread = value - rgb.amin(-3)
    red, green, blue = rgb.unbind(-3)
    safe = spread.clamp(min=1e-8)
    sectors = torch.stack(
        [(green - blue) / safe, (blue - red) / safe + 2, (red - green) / safe + 4], -3
    )
    hue = torch.gather(sectors, -3, largest.unsqueeze(-3)).squeeze(-3) / 6 % 1
    hue = torch.where(spread > 0, hue, torch.zeros_like(hue))
    return torch.stack([hue, spread / value.clamp(min=1e-8), value], -3)


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    """Inverse of `rgb_to_hsv`."""
    hue, saturation, value = hsv.unbind(-3)
    offset = torch.tensor([5.0, 3.0, 1.0], device=hsv.device)[:, None, None]
    k = (offset + hue.unsqueeze(-3) * 6) % 6
    fall = torch.minimum(k, 4 - k).clamp(0, 1)
    return value.unsqueeze(-3) * (1 - saturation.unsqueeze(-3) * fall)

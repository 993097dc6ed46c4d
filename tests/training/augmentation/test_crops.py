"""Image augmentation: crop sampling, jitter, occlusion and compression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceaffect.geometry import (
    estimate_crop_to_frame,
    keypoints_from_landmarks,
    transform_points,
    transform_roll_deg,
    transform_scale,
)
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
from training.evaluation.crop_jitter import (
    background_transforms,
    moved_transforms,
    tracking_transforms,
)
from training.models.mean_shape import MEAN_SHAPE_PX

pytestmark = pytest.mark.train


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size_px", [80, 112])
def test_points_to_crops_follow_image(size_px):
    image = torch.zeros(1, 3, 160, 160)
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    point = torch.tensor([[[70.0, 90.0]]])
    image[:] = 255 * torch.exp(-((x - 70) ** 2 + (y - 90) ** 2) / 18)
    start = torch.tensor([[[1.2, 0, 12], [0, 1.2, 12]]])
    for seed in range(12):
        transforms = jitter_transforms(start, CropJitter(), generator(seed))
        expected = points_to_crops(transforms, point)[0, 0]
        if not ((expected > 8) & (expected < 103)).all():
            continue
        crop = sample_crops(image, transforms, size_px, "zeros")[0, 0]
        ratio = 112 / size_px
        row, column = divmod(int(crop.argmax()), size_px)
        peak = (torch.tensor([column, row]) + 0.5) * ratio - 0.5
        assert (peak - expected).abs().max() < 1.0 * ratio


def test_sample_crops_matches_runtime_crop():
    from faceaffect import kernels
    from faceaffect.types import Frame, PixelFormat

    random = np.random.default_rng(0)
    image = random.integers(0, 256, (96, 96, 3)).astype(np.uint8)
    image = np.repeat(np.repeat(image[::6, ::6], 6, axis=0), 6, axis=1)
    transforms = np.array([[[0.7, -0.1, 15], [0.1, 0.7, 5]]], np.float32)
    expected = kernels.crop_face(
        Frame(image, PixelFormat.RGB), transforms, size_px=112, mean=(0, 0, 0), std=(1, 1, 1)
    )[0]
    got = (
        sample_crops(
            torch.from_numpy(image).permute(2, 0, 1)[None].float(),
            torch.from_numpy(transforms),
            112,
            "zeros",
        )[0]
        / 255
    )
    assert np.abs(got.numpy() - expected)[:, 8:-8, 8:-8].max() < 0.02


def test_perturb_transforms_matches_numpy():
    transforms = estimate_crop_to_frame(keypoints_from_landmarks(MEAN_SHAPE_PX[None] * 2))
    turn, scale, shift = np.array([0.3]), np.array([1.2]), np.array([[5.0, -3.0]])
    expected = perturb_transforms(
        torch.from_numpy(transforms),
        *(torch.from_numpy(v.astype(np.float32)) for v in (turn, scale, shift)),
    )
    assert np.abs(moved_transforms(transforms, turn, scale, shift) - expected.numpy()).max() < 1e-3
    assert transform_roll_deg(expected.numpy())[0] - transform_roll_deg(transforms)[
        0
    ] == pytest.approx(np.degrees(0.3), abs=1e-3)
    assert transform_scale(expected.numpy())[0] / transform_scale(transforms)[0] == pytest.approx(
        1.2, rel=1e-4
    )


def test_tracking_crops_contain_face_and_background_crops_do_not():
    transforms = np.repeat(
        estimate_crop_to_frame(keypoints_from_landmarks(MEAN_SHAPE_PX[None])), 40, axis=0
    )
    center = np.full((40, 1, 2), 55.5, np.float32)
    moved = np.linalg.norm(
        transform_points(tracking_transforms(transforms, 0), center)[:, 0] - 55.5, axis=1
    )
    assert moved.max() < 0.05 * 112 * 2**0.5 + 1
    away = np.linalg.norm(
        transform_points(background_transforms(transforms, 0), center)[::4, 0] - 55.5, axis=1
    )
    assert away.min() > 0.6 * 112


def test_photometric_jitter_and_occlude_keep_range_and_are_seeded():
    crops = torch.rand(16, 3, 48, 48)
    first, again = (
        occlude(photometric_jitter(crops.clone(), g), 0.5, g) for g in (generator(3), generator(3))
    )
    assert torch.equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    assert not torch.equal(first, crops)


def test_jpeg_compress_changes_its_fraction_of_crops():
    crops = torch.nn.functional.interpolate(
        torch.rand(20, 3, 6, 6, generator=generator(1)), (64, 64), mode="bicubic"
    ).clamp(0, 1)
    worse = jpeg_compress(crops.clone(), 0.25, generator())
    changed = (worse - crops).abs().amax(dim=(1, 2, 3)) > 0
    assert int(changed.sum()) == 5
    assert (worse - crops).abs().mean() < 0.05
    assert worse[changed].mean(dim=(0, 2, 3)) == pytest.approx(
        crops[changed].mean(dim=(0, 2, 3)), abs=0.03
    )  # colors stay

"""Image augmentation: crop sampling, jitter, occlusion, and the batch operations built on it."""

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
    jitter_maps,
    jpeg_compress,
    occlude,
    perturb_maps,
    photometric_jitter,
    points_to_crops,
    sample_crops,
)
from training.default_model.batch_mixer import au_balanced_weights, flip_half, mixup
from training.evaluation.crop_jitter import beside_maps, moved_maps, tracking_maps
from training.models.mean_shape import FLIP_ORDER, MEAN_SHAPE_PX

pytestmark = pytest.mark.train


IDENTITY = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flip_order_twice_is_identity():
    order = np.array(FLIP_ORDER)
    assert sorted(order) == list(range(68))
    assert (order[order] == np.arange(68)).all()
    assert order[36] == 45
    assert order[48] == 54
    assert order[0] == 16
    assert order[8] == 8


def test_flip_half_swaps_sides():
    crops = torch.rand(64, 3, 16, 16)
    landmarks = torch.from_numpy(MEAN_SHAPE_PX).repeat(64, 1, 1) + torch.tensor([3.0, 0.0])
    batch = {
        "crops": crops.clone(),
        "landmarks": landmarks.clone(),
        "pose": torch.tensor([[20.0, 5.0, -7.0]]).repeat(64, 1),
    }
    flip_half(batch, generator())
    mirrored = batch["pose"][:, 0] < 0
    assert 10 < int(mirrored.sum()) < 54
    assert torch.equal(batch["crops"][mirrored], crops[mirrored].flip(3))
    assert torch.equal(batch["crops"][~mirrored], crops[~mirrored])
    assert torch.allclose(batch["pose"][mirrored], torch.tensor([-20.0, 5.0, 7.0]))
    eyes = batch["landmarks"][:, [36, 45], 0]
    assert (eyes[:, 0] < eyes[:, 1]).all()  # the subject's right eye stays on the image's left
    assert torch.allclose(
        batch["landmarks"][mirrored][:, 30, 0], 111 - landmarks[mirrored][:, 30, 0]
    )


@pytest.mark.parametrize("size_px", [80, 112])
def test_points_to_crops_follow_image(size_px):
    image = torch.zeros(1, 3, 160, 160)
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    point = torch.tensor([[[70.0, 90.0]]])
    image[:] = 255 * torch.exp(-((x - 70) ** 2 + (y - 90) ** 2) / 18)
    start = torch.tensor([[[1.2, 0, 12], [0, 1.2, 12]]])
    for seed in range(12):
        maps = jitter_maps(start, CropJitter(), generator(seed))
        expected = points_to_crops(maps, point)[0, 0]
        if not ((expected > 8) & (expected < 103)).all():
            continue
        crop = sample_crops(image, maps, size_px, "zeros")[0, 0]
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
    maps = np.array([[[0.7, -0.1, 15], [0.1, 0.7, 5]]], np.float32)
    expected = kernels.crop_face(
        Frame(image, PixelFormat.RGB), maps, size_px=112, mean=(0, 0, 0), std=(1, 1, 1)
    )[0]
    got = (
        sample_crops(
            torch.from_numpy(image).permute(2, 0, 1)[None].float(),
            torch.from_numpy(maps),
            112,
            "zeros",
        )[0]
        / 255
    )
    assert np.abs(got.numpy() - expected)[:, 8:-8, 8:-8].max() < 0.02


def test_perturb_transforms_matches_numpy():
    maps = estimate_crop_to_frame(keypoints_from_landmarks(MEAN_SHAPE_PX[None] * 2))
    turn, scale, shift = np.array([0.3]), np.array([1.2]), np.array([[5.0, -3.0]])
    expected = perturb_maps(
        torch.from_numpy(maps),
        *(torch.from_numpy(v.astype(np.float32)) for v in (turn, scale, shift)),
    )
    assert np.abs(moved_maps(maps, turn, scale, shift) - expected.numpy()).max() < 1e-3
    assert transform_roll_deg(expected.numpy())[0] - transform_roll_deg(maps)[0] == pytest.approx(
        np.degrees(0.3), abs=1e-3
    )
    assert transform_scale(expected.numpy())[0] / transform_scale(maps)[0] == pytest.approx(
        1.2, rel=1e-4
    )


def test_tracking_crops_contain_face_and_background_crops_do_not():
    maps = np.repeat(
        estimate_crop_to_frame(keypoints_from_landmarks(MEAN_SHAPE_PX[None])), 40, axis=0
    )
    center = np.full((40, 1, 2), 55.5, np.float32)
    moved = np.linalg.norm(transform_points(tracking_maps(maps, 0), center)[:, 0] - 55.5, axis=1)
    assert moved.max() < 0.05 * 112 * 2**0.5 + 1
    away = np.linalg.norm(transform_points(beside_maps(maps, 0), center)[::4, 0] - 55.5, axis=1)
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


def test_mixup_blends_images_and_labels_alike():
    batch = {
        "crops": torch.arange(10.0)[:, None, None, None].expand(10, 3, 4, 4).clone(),
        "expression": torch.arange(10.0)[:, None].expand(10, 7).clone(),
        "va": torch.arange(10.0)[:, None].expand(10, 2).clone(),
        "au": torch.arange(10.0)[:, None].expand(10, 12).clone(),
        "expression_weight": torch.tensor([1.0] * 8 + [0.0] * 2),
        **{name: torch.ones(10) for name in ("va_weight", "landmark_weight", "pose_weight")},
        "au_weight": torch.ones(10, 12),
    }
    batch["au_weight"][0, 3] = 0
    known = batch["au_weight"].clone()
    source = np.array([0] * 6 + [1] * 4)
    mixup(batch, 0.99, np.random.default_rng(0), source)
    blended = batch["landmark_weight"] == 0
    assert blended.tolist() == [True] * 8 + [False] * 2
    for name in ("expression", "va", "au"):
        torch.testing.assert_close(batch[name][:, 0], batch["crops"][:, 0, 0, 0])
    assert (batch["crops"][:6, 0, 0, 0] <= 5).all()  # of the first source alone
    assert (batch["crops"][6:8, 0, 0, 0] >= 6).all()
    assert (batch["crops"][:8, 0, 0, 0] != torch.arange(8.0)).any()
    lost = (batch["au_weight"] == 0) & (known > 0)
    assert lost[:, 3].sum() == 1  # the face that was blended with one whose AU is unlabeled
    assert not lost[:, :3].any()


def test_mixup_changes_given_fraction_of_faces():
    count = 40
    batch = {
        name: torch.ones(count)
        for name in ("expression_weight", "va_weight", "landmark_weight", "pose_weight")
    }
    batch |= {
        "crops": torch.rand(count, 3, 4, 4),
        "expression": torch.rand(count, 7),
        "va": torch.rand(count, 2),
    }
    batch |= {"au": torch.rand(count, 12), "au_weight": torch.ones(count, 12)}
    mixup(batch, 0.5, np.random.default_rng(0), np.zeros(count, np.int64))
    assert int((batch["landmark_weight"] == 0).sum()) == 20


def test_au_balanced_weights_draw_rare_units_more_often():
    au = np.zeros((100, 12), np.float32)
    au[:50, 0], au[50:52, 1] = 1, 1
    chance = au_balanced_weights(au, 0.5)
    assert chance.sum() == pytest.approx(1)
    assert chance[50] / chance[0] == pytest.approx((0.501 / 0.021) ** 0.5, rel=1e-5)
    assert chance[99] == pytest.approx(chance[0]), (
        "faces without any unit are as common as those with the commonest"
    )
    np.testing.assert_allclose(au_balanced_weights(au, 0.0), 0.01)

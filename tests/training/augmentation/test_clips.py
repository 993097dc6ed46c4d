"""Clip augmentation compared with OpenCV and colorsys, and its effect on landmarks."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest
import torch

from training.augmentation.clips import JITTERS, ClipJitter, augment_clips, hsv_to_rgb, rgb_to_hsv
from training.models.mean_shape import FLIP_ORDER, MEAN_SHAPE_PX

pytestmark = pytest.mark.train


NONE = ClipJitter(flip=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def synthetic_clips(count: int = 3, frames: int = 4, size_px: int = 32) -> torch.Tensor:
    """Smooth images; the frames of a clip differ in one corner only."""
    coarse = torch.rand(count, 3, 4, 4, generator=generator(9))
    smooth = torch.nn.functional.interpolate(coarse, (size_px, size_px), mode="bilinear")
    clips = smooth[:, None].repeat(1, frames, 1, 1, 1)
    clips[:, :, :, :4, :4] = torch.linspace(0.2, 0.8, frames)[None, :, None, None, None]
    return clips


@pytest.mark.parametrize("name", JITTERS)
def test_augment_clips_changes_all_frames_alike(name):
    still = synthetic_clips(6)[:, :1].repeat(1, 5, 1, 1, 1)
    changed, _ = augment_clips(still, JITTERS[name], generator(3))
    assert changed.shape == still.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-5)
    assert not torch.allclose(changed, still)
    again, _ = augment_clips(still, JITTERS[name], generator(3))
    assert torch.equal(changed, again)


def test_augment_clips_does_not_modify_input():
    clips, points = synthetic_clips(), torch.rand(3, 4, 68, 2)
    clips_before, points_before = clips.clone(), points.clone()
    for jitter in JITTERS.values():
        augment_clips(clips, jitter, generator(), points)
    assert torch.equal(clips, clips_before)
    assert torch.equal(points, points_before)


def test_augment_clips_without_jitter_is_identity():
    clips = synthetic_clips()
    changed, points = augment_clips(clips, NONE, generator())
    assert torch.equal(changed, clips)
    assert points is None


def test_augment_clips_flip_swaps_landmarks():
    clips = synthetic_clips(1, 2, 112)
    points = torch.from_numpy(MEAN_SHAPE_PX)[None, None].repeat(1, 2, 1, 1) + torch.tensor(
        [7.0, 3.0]
    )
    changed, moved = augment_clips(clips, ClipJitter(flip=1), generator(), points)
    assert torch.allclose(changed, clips.flip(-1), atol=1e-5)
    expected = points[0, 0].clone()
    expected[:, 0] = 111 - expected[:, 0]
    assert torch.allclose(moved[0, 0], expected[list(FLIP_ORDER)], atol=1e-3)
    upside, _ = augment_clips(clips, ClipJitter(flip=0, vertical_flip=1), generator())
    assert torch.allclose(upside, clips.flip(-2), atol=1e-5)


GEOMETRY = {
    "turn": ClipJitter(flip=0, rotate_deg=45),
    "crop": ClipJitter(flip=0, crop_area=(0.5, 0.9), crop_ratio=(3 / 4, 4 / 3)),
    "all": ClipJitter(flip=0.5, vertical_flip=0.5, rotate_deg=30, crop_area=(0.6, 1.0)),
}


@pytest.mark.parametrize("jitter", GEOMETRY.values(), ids=GEOMETRY)
def test_augment_clips_moves_landmarks_with_image(jitter):
    """A bright blob drawn at a landmark is where the landmark was moved to."""
    size, count = 112, 8
    random = torch.Generator().manual_seed(5)
    spots = torch.rand(count, 2, generator=random) * 40 + 36
    steps = torch.arange(size, dtype=torch.float32)
    down, across = (
        steps[None, :, None] - spots[:, 1, None, None],
        steps[None, None] - spots[:, 0, None, None],
    )
    blobs = torch.exp(-(down**2 + across**2) / 8)
    points = spots[:, None, None].repeat(1, 1, 68, 1)
    changed, moved = augment_clips(
        blobs[:, None, None].repeat(1, 1, 3, 1, 1), jitter, generator(11), points
    )
    inside = ((moved[:, 0, 0] > 6) & (moved[:, 0, 0] < size - 7)).all(1)
    assert inside.sum() >= 4
    for k in torch.nonzero(inside)[:, 0].tolist():
        weight = changed[k, 0, 0]
        weight = weight / weight.sum()
        center = torch.tensor([(weight.sum(0) * steps).sum(), (weight.sum(1) * steps).sum()])
        assert torch.allclose(center, moved[k, 0, 0], atol=0.3)
        assert (moved[k, 0, 0] - spots[k]).abs().max() > 0.2


def test_augment_clips_crop_stays_inside_image():
    changed, _ = augment_clips(torch.ones(40, 1, 3, 32, 32), JITTERS["M8"], generator())
    inner = changed[..., 1:-1, 1:-1]
    assert inner.min() > 0.999  # no black edge
    ramp = torch.linspace(0, 1, 134)[None].repeat(134, 1)[None, None, None].repeat(40, 1, 3, 1, 1)
    cut, _ = augment_clips(ramp, ClipJitter(flip=0, crop_area=JITTERS["M8"].crop_area), generator())
    spans = [row[0, 0, 60].max() - row[0, 0, 60].min() for row in cut]
    assert np.mean(spans) == pytest.approx(112 / 134, abs=0.02)


def test_rgb_to_hsv_matches_colorsys():
    rgb = torch.rand(50, 3, 1, 1, generator=generator())
    rgb[0], rgb[1], rgb[2] = 0, 1, 0.5
    hsv = rgb_to_hsv(rgb)
    for k in range(50):
        assert hsv[k].flatten().tolist() == pytest.approx(
            colorsys.rgb_to_hsv(*rgb[k].flatten().tolist()), abs=1e-5
        )
    assert torch.allclose(hsv_to_rgb(hsv), rgb, atol=1e-5)


def test_hsv_jitter_is_in_opencv_units():
    pixels = np.random.default_rng(2).integers(60, 200, (1, 16, 16, 3)).astype(np.uint8)
    clip = torch.from_numpy(pixels).permute(0, 3, 1, 2)[:, None].float() / 255
    shifts = []
    for seed in range(30):
        changed, _ = augment_clips(clip, ClipJitter(flip=0, hsv=(0, 0, 20)), generator(seed))
        rgb = (changed[0, 0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        new = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(int)
        old = cv2.cvtColor(pixels[0], cv2.COLOR_RGB2HSV).astype(int)
        shifts.append(np.median((new - old)[:, :, 2]))
        assert np.abs((new - old)[:, :, 2] - shifts[-1]).max() <= 1
    assert 12 < max(shifts) <= 20
    assert -20 <= min(shifts) < -12


def test_brightness_and_contrast_are_factors():
    clips = torch.full((200, 1, 3, 8, 8), 0.4)
    bright, _ = augment_clips(clips, ClipJitter(flip=0, brightness=0.5), generator())
    factors = bright[:, 0, 0, 0, 0] / 0.4
    assert 0.5 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5
    two = clips.clone()
    two[..., :4] = 0.6
    flat, _ = augment_clips(two, ClipJitter(flip=0, contrast=0.5), generator())
    assert flat.mean((1, 2, 3, 4)) == pytest.approx(torch.full((200,), 0.5), abs=1e-4)
    spread = (flat.amax((1, 2, 3, 4)) - flat.amin((1, 2, 3, 4))) / 0.2
    assert 0.5 <= spread.min() < 0.6
    assert 1.4 < spread.max() <= 1.5001


def test_blur_matches_opencv():
    clip = torch.rand(1, 2, 3, 16, 16, generator=generator())
    blurred, _ = augment_clips(clip, ClipJitter(flip=0, blur_sigma_px=(0.8, 0.8)), generator())
    for t in range(2):
        expected = cv2.GaussianBlur(
            clip[0, t].permute(1, 2, 0).numpy(), (3, 3), 0.8, borderType=cv2.BORDER_REFLECT_101
        )
        assert blurred[0, t].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-5)


def test_augment_clips_of_images_equals_one_frame_clips():
    images = synthetic_clips()[:, 0]
    points = torch.rand(3, 68, 2) * 32
    one, moved = augment_clips(images, JITTERS["M2"], generator(4), points)
    clip, moved_clip = augment_clips(images[:, None], JITTERS["M2"], generator(4), points[:, None])
    assert torch.equal(one, clip[:, 0])
    assert torch.equal(moved, moved_clip[:, 0])
    with pytest.raises(ValueError, match="clips must be"):
        augment_clips(torch.zeros(2, 4, 8, 8), NONE, generator())

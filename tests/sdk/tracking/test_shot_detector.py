"""Cuts are told from noise and motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.types import Frame, PixelFormat


def image(seed: int, height: int = 180, width: int = 320) -> np.ndarray:
    """A soft random image, as different from another seed's as two scenes are."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("layout", list(PixelFormat))
def test_another_image_is_a_cut_and_the_same_is_none(layout: PixelFormat) -> None:
    glance, cuts = ShotChangeDetector(), []
    for seed in (1, 1, 1, 2, 2, 1):
        pixels = image(seed)
        if layout is PixelFormat.GRAY:
            pixels = pixels[..., 1]
        elif layout is PixelFormat.NV12:
            pixels = np.concatenate([pixels[..., 1], np.full((90, 320), 128, np.uint8)])
        cuts.append(glance.is_cut(Frame(pixels, layout)))
    assert cuts == [True, False, False, True, False, True]


def test_noise_is_no_cut() -> None:
    glance, random = ShotChangeDetector(), np.random.default_rng(0)
    glance.is_cut(Frame(image(1)))
    for _ in range(20):
        noisy = np.clip(image(1) + random.normal(0, 12, (180, 320, 3)), 0, 255).astype(np.uint8)
        assert not glance.is_cut(Frame(noisy))


def test_a_panning_camera_is_no_cut() -> None:
    glance, wide = ShotChangeDetector(), image(3, width=640)
    glance.is_cut(Frame(wide[:, :320]))
    assert not any(glance.is_cut(Frame(wide[:, x : x + 320])) for x in range(4, 300, 4))


def test_slow_change_of_light_is_no_cut() -> None:
    glance = ShotChangeDetector()
    glance.is_cut(Frame(np.zeros((90, 160, 3), np.uint8)))
    assert not any(
        glance.is_cut(Frame(np.full((90, 160, 3), level, np.uint8))) for level in range(5, 255, 5)
    )


def test_another_size_is_a_cut() -> None:
    glance = ShotChangeDetector()
    glance.is_cut(Frame(image(1)))
    assert glance.is_cut(Frame(image(1, 300, 500)))


def test_images_smaller_than_the_grid() -> None:
    glance = ShotChangeDetector()
    for shape in ((1, 1, 3), (2, 50, 3), (17, 31, 3)):
        assert glance.is_cut(Frame(np.zeros(shape, np.uint8)))
        assert not glance.is_cut(Frame(np.zeros(shape, np.uint8)))

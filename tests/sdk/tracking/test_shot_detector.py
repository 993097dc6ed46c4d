"""Cuts are distinguished from noise and motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.kernel_cases import flat_frame
from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.types import Frame, PixelFormat


def image(seed: int, height: int = 180, width: int = 320) -> np.ndarray:
    """A smooth random image, which differs from that of another seed like two shots do."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_shot_detector_with_other_image_detects_cut(pixel_format: PixelFormat) -> None:
    detector, cuts = ShotChangeDetector(), []
    for seed in (1, 1, 1, 2, 2, 1):
        pixels = image(seed)
        if pixel_format is PixelFormat.GRAY:
            pixels = pixels[..., 1]
        elif pixel_format is PixelFormat.NV12:
            pixels = np.concatenate([pixels[..., 1], np.full((90, 320), 128, np.uint8)])
        gray = np.full((90, 160), 128, np.uint8)
        chroma = None
        if pixel_format is PixelFormat.I420:
            pixels, chroma = pixels[..., 1], (gray, gray)
        cuts.append(detector.update(Frame(pixels, pixel_format, chroma=chroma)))
    assert cuts == [True, False, False, True, False, True]


def test_change_of_luma_in_video_range_is_that_of_gray_levels() -> None:
    gray, luma = ShotChangeDetector(), ShotChangeDetector()
    for level in (0, 219):
        gray.update(Frame(np.full((90, 160), level * 255 // 219, np.uint8), PixelFormat.GRAY))
        luma.update(flat_frame(PixelFormat.I420, 90, 160, 16 + level))
    assert luma.change == pytest.approx(gray.change) == 255


def test_shot_detector_with_noise_detects_no_cut() -> None:
    detector, random = ShotChangeDetector(), np.random.default_rng(0)
    detector.update(Frame(image(1)))
    for _ in range(20):
        noisy = np.clip(image(1) + random.normal(0, 12, (180, 320, 3)), 0, 255).astype(np.uint8)
        assert not detector.update(Frame(noisy))


def test_shot_detector_with_panning_camera_detects_no_cut() -> None:
    detector, wide = ShotChangeDetector(), image(3, width=640)
    detector.update(Frame(wide[:, :320]))
    assert not any(detector.update(Frame(wide[:, x : x + 320])) for x in range(4, 300, 4))


def test_shot_detector_with_slow_brightening_detects_no_cut() -> None:
    detector = ShotChangeDetector()
    detector.update(Frame(np.zeros((90, 160, 3), np.uint8)))
    assert not any(
        detector.update(Frame(np.full((90, 160, 3), level, np.uint8))) for level in range(5, 255, 5)
    )


def test_shot_detector_with_other_size_detects_cut() -> None:
    detector = ShotChangeDetector()
    detector.update(Frame(image(1)))
    assert detector.update(Frame(image(1, 300, 500)))


def test_shot_detector_with_tiny_images_works() -> None:
    detector = ShotChangeDetector()
    for shape in ((1, 1, 3), (2, 50, 3), (17, 31, 3)):
        assert detector.update(Frame(np.zeros(shape, np.uint8)))
        assert not detector.update(Frame(np.zeros(shape, np.uint8)))

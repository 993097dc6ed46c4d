"""Resized images match the frame at every factor, also in reused buffers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of
from faceaffect.detectors.buffer_pool import BufferPool
from faceaffect.detectors.resize_image import resize_to_bgr
from faceaffect.types import Frame, PixelFormat


def smooth_image(height: int, width: int) -> np.ndarray:
    """Waves that every size can represent, different in each channel."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [128 + 100 * np.sin(2 * np.pi * (a * x + b * y)) for a, b in ((3, 1), (1, 4), (2, 2))]
    return np.stack(waves, axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("longest_px", [2000, 1919, 1400, 900, 768, 700, 480, 470, 256, 64])
@pytest.mark.parametrize("shape", [(1080, 1920), (1079, 1919), (721, 405)])
def test_resize_at_any_factor_matches_blurred_frame(
    longest_px: int, shape: tuple[int, int]
) -> None:
    pixels = smooth_image(*shape)
    image, scale = resize_to_bgr(Frame(pixels), longest_px)
    assert max(image.shape[:2]) == min(longest_px, max(shape))
    assert scale == max(1.0, max(shape) / longest_px)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    at_x, at_y = ((axis + 0.5) * np.float32(scale) - 0.5 for axis in (x, y))
    blurred = cv2.blur(pixels, (max(1, round(scale)),) * 2)
    expected = cv2.remap(blurred, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = np.abs(image.astype(int) - expected.astype(int))[2:-2, 2:-2]
    # The frame is drawn to whole pixels: up to half an image pixel at the far end, where waves rise
    # by some levels a pixel.
    assert inside.mean() < 4
    assert inside.max() < 40 * max(1.0, 100 / longest_px)


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
@pytest.mark.parametrize("longest_px", [64, 100, 160])
def test_resize_with_buffer_pool_returns_same_pixels(
    pixel_format: PixelFormat, longest_px: int
) -> None:
    random = np.random.default_rng(3)
    buffers = BufferPool()
    for _ in range(3):
        frame = frame_of(pixel_format, 180, 320, int(random.integers(1000)))
        fresh, scale = resize_to_bgr(frame, longest_px)
        again, same_scale = resize_to_bgr(frame, longest_px, buffers)
        np.testing.assert_array_equal(again, fresh)
        assert scale == same_scale
        before = frame.pixels.copy()
        again[:] = 0
        np.testing.assert_array_equal(frame.pixels, before)


def test_buffer_pool_with_many_shapes_is_bounded() -> None:
    buffers = BufferPool()
    first = buffers.get("a", (2, 3))
    assert buffers.get("a", (2, 3)) is first
    assert buffers.get("b", (2, 3)) is not first
    for side in range(1, 100):
        buffers.get("a", (side, side))
    assert len(buffers._buffers) <= 32

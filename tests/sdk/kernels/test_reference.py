"""NumPy definitions against independent results: OpenCV, closed forms, area averages."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of, graph_weights, similarity, textured
from faceaffect.kernels import crop_face, reference
from faceaffect.types import Frame, PixelFormat

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}  # leaves 0..255


def smooth_frame(height: int = 120, width: int = 160) -> np.ndarray:
    return cv2.GaussianBlur(textured((height, width, 3)), (0, 0), 3)


@pytest.mark.parametrize(("scale", "degrees"), [(1.0, 0), (0.4, 17), (1.7, -60)])
def test_crop_face_matches_opencv_warp_affine(scale: float, degrees: float) -> None:
    pixels, maps = smooth_frame(), similarity(48, scale, degrees, (80, 60))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.cvtColor(
        cv2.warpAffine(pixels, maps[0], (48, 48), flags=flags), cv2.COLOR_BGR2RGB
    )
    got = reference.crop_face(Frame(pixels), maps, size_px=48, **PLAIN)[0].transpose(1, 2, 0)
    # OpenCV rounds to whole numbers and may place its taps on a grid of 1/32 px
    assert np.abs(got - expected).max() < 2.0
    assert np.abs(got - expected).mean() < 0.5


def test_crop_face_outside_is_black_and_fades_at_border() -> None:
    frame = Frame(np.full((8, 8, 3), 200, np.uint8))
    maps = np.array([[[0.25, 0, -1.5], [0, 0, 4]]], np.float32)
    row = reference.crop_face(frame, maps, size_px=9, **PLAIN)[0, 0, 0]
    np.testing.assert_allclose(row, [0, 0, 0, 50, 100, 150, 200, 200, 200], atol=1e-3)


def test_crop_face_with_integer_transform_copies_pixels() -> None:
    pixels = textured((20, 30, 3))
    maps = np.array([[[1, 0, 5], [0, 1, 7]]], np.float32)
    for pixel_format, rgb in ((PixelFormat.BGR, pixels[..., ::-1]), (PixelFormat.RGB, pixels)):
        got = reference.crop_face(Frame(pixels, pixel_format), maps, size_px=10, **PLAIN)[0]
        np.testing.assert_allclose(got.transpose(1, 2, 0), rgb[7:17, 5:15], atol=1e-4)


def test_crop_face_of_gray_frame_repeats_channel() -> None:
    frame = frame_of(PixelFormat.GRAY, 20, 30)
    maps = np.array([[[1, 0, 5], [0, 1, 7]]], np.float32)
    got = reference.crop_face(frame, maps, size_px=10, **PLAIN)[0]
    for channel in got:
        np.testing.assert_allclose(channel, frame.pixels[7:17, 5:15], atol=1e-4)


def test_crop_face_of_nv12_with_constant_chroma_matches_opencv() -> None:
    random = np.random.default_rng(3)
    pixels = random.integers(16, 236, (24, 16), dtype=np.uint8)
    pixels[16:, 0::2], pixels[16:, 1::2] = 90, 170
    expected = cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_NV12)
    maps = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    got = reference.crop_face(Frame(pixels, PixelFormat.NV12), maps, size_px=16, **PLAIN)[0]
    assert np.abs(got.transpose(1, 2, 0) - expected).max() < 1.1


def test_crop_face_of_nv12_centers_chroma() -> None:
    """V rises by 8 a chroma sample, so by 4 a luma pixel; red must follow at every pixel, not in
    steps of two.
    """
    pixels = np.full((24, 16), 128, np.uint8)
    pixels[16:, 1::2] = 100 + 8 * np.arange(8)
    maps = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    red = reference.crop_face(Frame(pixels, PixelFormat.NV12), maps, size_px=16, **PLAIN)[0, 0, 8]
    v = 100 + 4 * (np.arange(1, 15) - 0.5)
    np.testing.assert_allclose(red[1:15], 1.1643836 * 112 + 1.5960268 * (v - 128), atol=1e-2)


def fine_pattern(kind: str, side: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    waves = 127.5 + 127.5 * np.sin(2 * np.pi * x / 2.3 + 0.4)
    values = 255.0 * ((x + y) % 2) if kind == "checkerboard" else waves
    return np.repeat(np.rint(values).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("kind", ["checkerboard", "waves"])
@pytest.mark.parametrize("scale", [2.5, 3.0, 4.0, 10.0])
def test_crop_face_when_minifying_does_not_alias(
    kind: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns finer than a crop pixel become their mean, as in an area average."""
    side, size = 480, 40
    frame = Frame(fine_pattern(kind, side))
    first = 20 + scale * (size - 1) / 2  # whole positions: no interpolation hides what a step skips
    maps = similarity(size, scale, 0, (first, first))
    truth = float(frame.pixels.mean())
    got = crop_face(frame, maps, size_px=size, **PLAIN)[0, 0]
    error = np.sqrt(np.mean((got - truth) ** 2))
    monkeypatch.setattr(reference, "MAX_LEVEL", 0)
    aliased = reference.crop_face(frame, maps, size_px=size, **PLAIN)[0, 0]
    without = np.sqrt(np.mean((aliased - truth) ** 2))
    assert error < 20  # of 255; a box leaves a fifth of waves of 2.3 px
    assert without > 3 * max(error, 1)


def test_crop_face_when_minifying_matches_area_average() -> None:
    pixels = cv2.GaussianBlur(textured((480, 480, 3)), (0, 0), 2)
    maps = similarity(40, 4.0, 0, (239.5, 239.5))
    got = crop_face(Frame(pixels, PixelFormat.RGB), maps, size_px=40, **PLAIN)[0].transpose(1, 2, 0)
    expected = cv2.resize(pixels[160:320, 160:320], (40, 40), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    assert np.abs(got - expected).mean() < 0.12 * expected.std() + 1.0


@pytest.mark.parametrize(
    ("scale", "level"), [(0.5, 0), (2.0, 0), (2.01, 1), (4.0, 1), (4.1, 2), (33.0, 4), (500.0, 4)]
)
def test_level_of_follows_scale(scale: float, level: int) -> None:
    assert reference.level_of(similarity(8, scale, 0, (0, 0))[0]) == level


def test_halve_rounds_half_up_and_repeats_edge() -> None:
    plane = np.array([[0, 1, 10], [0, 1, 10], [4, 4, 7]], np.uint8)[:, :, None]
    np.testing.assert_array_equal(reference.halve(plane, 1)[:, :, 0], [[1, 10], [4, 7]])


def test_halve_from_level_two_uses_middle_rows() -> None:
    rows = np.array(
        [200, 10, 20, 200] * 3 + [200, 11], np.uint8
    )  # the last block hangs over the lower edge
    plane = np.repeat(rows[:, None], 9, axis=1)[:, :, None]
    np.testing.assert_array_equal(reference.halve(plane, 2)[:, 0, 0], [15, 15, 15, 11])
    np.testing.assert_array_equal(reference.halve(plane[:8], 3)[:, 0, 0], [15])
    np.testing.assert_array_equal(reference.halve(plane[:4], 1)[:, 0, 0], [105, 110])


def test_normalize_matches_formula() -> None:
    pixels = np.array([[[[0, 51, 255]]]], np.uint8)
    got = reference.normalize(pixels, (0.5, 0.1, 0.0), (0.5, 0.1, 2.0))
    np.testing.assert_allclose(got.ravel(), [-1, 1, 0.5], atol=1e-6)


def test_au_gcn_matches_loops_in_double() -> None:
    weights = graph_weights(width=5, layers=2)
    nodes = np.random.default_rng(2).standard_normal((2, 12, 5))
    expected = np.zeros((2, 12))
    for n in range(2):
        hidden = nodes[n]
        for matrix, bias in zip(weights.layer_weights, weights.layer_biases, strict=True):
            fresh = np.zeros((12, matrix.shape[1]))
            for k in range(12):
                for j in range(matrix.shape[1]):
                    mixed = [
                        sum(weights.adjacency[k, m] * hidden[m, i] for m in range(12))
                        for i in range(len(matrix))
                    ]
                    fresh[k, j] = max(
                        0.0, sum(x * w for x, w in zip(mixed, matrix[:, j], strict=True)) + bias[j]
                    )
            hidden = fresh
        for k in range(12):
            expected[n, k] = hidden[k] @ weights.readout_weight[k] + weights.readout_bias[k]
    np.testing.assert_allclose(
        reference.au_gcn(nodes.astype(np.float32), weights), expected, atol=1e-5
    )

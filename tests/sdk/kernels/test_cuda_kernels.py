"""CUDA kernels, compiled for the host and run thread by thread, against the NumPy definition.

This proves arithmetic, indices, barriers and launch sizes. That they run on a GPU is proved
there, by the record of `python -m benchmarks gpu`.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import (
    CASES,
    MEAN,
    STD,
    TIMED_CROPS,
    KernelCase,
    frame_of,
    graph_weights,
    similarity,
)
from faceaffect.kernels import GcnWeights, reference
from faceaffect.kernels.native import native
from faceaffect.kernels.reference_face_ops import sample_grid
from faceaffect.tracking.appearance import appearance_descriptors, descriptors_from_grid
from faceaffect.types import Frame, PixelFormat, YuvColor
from tests.native.build_on_host import kernels_on_host, plane_numbers
from tests.sdk.kernels.test_kernel_bounds import guarded

CROPS = [case for case in [*CASES, TIMED_CROPS[4]] if case.op == "crop_face"]
HALF = pytest.mark.parametrize("is_half", [False, True], ids=["float32", "float16"])


@pytest.fixture(scope="module")
def host() -> ctypes.CDLL:
    return kernels_on_host()


def address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def poisoned(shape: tuple[int, ...], is_half: bool) -> np.ndarray:
    return np.full(shape, np.nan, np.float16 if is_half else np.float32)


def packed_normalize(arguments: dict[str, Any]) -> np.ndarray:
    return np.array([*arguments["mean"], *arguments["std"]], np.float32)


def with_adjacent_pixels(frame: Frame) -> Frame:
    expected = (3, 1) if frame.pixels.ndim == 3 else (1,)
    if frame.pixels.strides[1:] == expected:
        return frame
    chroma = frame.chroma and tuple(map(np.ascontiguousarray, frame.chroma))
    return replace(frame, pixels=np.ascontiguousarray(frame.pixels), chroma=chroma)


def close(got: np.ndarray, expected: np.ndarray, tolerance: float, is_half: bool) -> None:
    """float16 may differ from the rounded float32 by the last bit, 2 ** -11 of it."""
    if is_half:
        tolerance = max(tolerance, 2.0**-10)
    np.testing.assert_allclose(got.astype(np.float32), expected, rtol=tolerance, atol=tolerance)


@HALF
@pytest.mark.parametrize("case", CROPS, ids=str)
def test_crop_face_cuda_matches_numpy(host: ctypes.CDLL, case: KernelCase, is_half: bool) -> None:
    arguments = case.make()
    frame, maps, size_px = (
        with_adjacent_pixels(arguments["frame"]),
        arguments["crop_to_frame"],
        arguments["size_px"],
    )
    out = poisoned((len(maps), 3, size_px, size_px), is_half)
    planes, color = plane_numbers(frame)
    numbers = packed_normalize(arguments)
    pixel_format = list(PixelFormat).index(frame.pixel_format)
    maps = np.ascontiguousarray(maps, np.float32)
    host.host_crop_face(
        address(planes),
        address(color),
        pixel_format,
        address(maps),
        len(maps),
        size_px,
        address(numbers),
        address(out),
        is_half,
    )
    close(out, reference.crop_face(**arguments), case.tolerance, is_half)


def random_planes(
    random: np.random.Generator, pixel_format: PixelFormat
) -> tuple[Frame, np.ndarray, list[np.ndarray]]:
    """A frame of any size, and the same in memory whose rows are padded, for NV12 each plane in its
    own way.
    """
    height, width = (int(side) for side in random.integers(1, 90, 2))
    if pixel_format is PixelFormat.NV12:
        height, width = 2 * height, 2 * width
    frame = frame_of(pixel_format, height, width, int(random.integers(1 << 30)))
    frame = replace(frame, color=list(YuvColor)[int(random.integers(6))])
    numbers, kept, paddings = [], [], random.integers(0, 40, 3)
    paddings[2] = paddings[1]  # U and V have the same stride
    for part, padding in zip(reference.split_planes(frame), paddings, strict=False):
        row, channels = part[0].size, part.shape[2]
        wide = random.integers(0, 256, (len(part), row + int(padding)), dtype=np.uint8)
        wide[:, :row] = part.reshape(len(part), -1)
        kept.append(wide)
        numbers += [wide.ctypes.data, wide.strides[0], row // channels, len(part), channels]
    return frame, np.array(numbers + [0] * (15 - len(numbers)), np.int64), kept


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_crop_face_cuda_with_random_padded_frames_matches_numpy(
    host: ctypes.CDLL, pixel_format: PixelFormat
) -> None:
    """Random sizes, strides and crops; a failure names the seed."""
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    random = np.random.default_rng(seed)
    for _ in range(4):
        frame, planes, kept = random_planes(random, pixel_format)
        size_px, count = int(random.integers(1, 40)), int(random.integers(1, 6))
        centers = random.uniform(-0.5, 1.5, (count, 2)) * (frame.width_px, frame.height_px)
        scales, turns = np.exp(random.uniform(-2, 3, count)), random.uniform(-180, 180, count)
        maps = np.concatenate(
            [
                similarity(size_px, float(s), float(t), (x, y))
                for s, t, (x, y) in zip(scales, turns, centers, strict=True)
            ]
        )
        for is_half in (False, True):
            out = poisoned((count, 3, size_px, size_px), is_half)
            numbers = np.array([*MEAN, *STD], np.float32)
            where = (address(maps), count, size_px, address(numbers), address(out), int(is_half))
            color = np.array(frame.color.coefficients, np.float32)
            which = (address(planes), address(color), list(PixelFormat).index(pixel_format))
            host.host_crop_face(*which, *where)
            expected = reference.crop_face(frame, maps, size_px=size_px, mean=MEAN, std=STD)
            tolerance = 2.0**-10 if is_half else 1e-5
            np.testing.assert_allclose(
                out, expected, rtol=tolerance, atol=tolerance, err_msg=f"seed {seed}"
            )
        assert kept


@pytest.mark.parametrize("case", CROPS, ids=str)
def test_packed_frame_contains_all_pixels_that_are_read(
    host: ctypes.CDLL, case: KernelCase
) -> None:
    """Behind the last staged byte lies a page that may not be touched; the third face of two
    repeats the second.
    """
    arguments = case.make()
    frame, maps, size_px = (
        arguments["frame"],
        arguments["crop_to_frame"],
        arguments["size_px"],
    )
    if not len(maps):
        pytest.skip("nothing is staged for nobody")
    slots = len(maps) + 1
    ask = (frame.planes, frame.pixel_format.value, maps, slots, size_px)
    color = frame.color.coefficients
    block = guarded((native.pack_upload(*ask, 0, 0, 0, color),), np.uint8, before=False)
    target = (block.ctypes.data, block.ctypes.data, block.nbytes)
    assert native.pack_upload(*ask, *target, color) == block.nbytes
    out = poisoned((slots, 3, size_px, size_px), False)
    host.host_crop_jobs(
        address(block), slots, size_px, address(packed_normalize(arguments)), address(out), 0
    )
    expected = reference.crop_face(**arguments)
    close(out, np.concatenate([expected, expected[-1:]]), case.tolerance, False)


def test_packed_frame_contains_only_pixels_that_are_read() -> None:
    """A face 112 px wide at scale 1 in a full HD frame needs a hundredth of it."""
    frame = np.zeros((1080, 1920, 3), np.uint8)
    maps = np.array([[[1, 0, 500], [0, 1, 300]]], np.float32)
    needed = native.pack_upload(frame, "BGR", maps, 1, 112, 0, 0, 0)
    assert 113 * 113 * 3 <= needed <= 113 * 113 * 3 + 512


def test_packing_more_faces_than_slots_raises() -> None:
    frame, maps = np.zeros((9, 9, 3), np.uint8), np.zeros((2, 2, 3), np.float32)
    with pytest.raises(ValueError, match="slots must be at least the number of faces"):
        native.pack_upload(frame, "BGR", maps, 1, 112, 0, 0, 0)


@HALF
@pytest.mark.parametrize("case", [case for case in CASES if case.op == "normalize"], ids=str)
def test_normalize_cuda_matches_numpy(host: ctypes.CDLL, case: KernelCase, is_half: bool) -> None:
    arguments = case.make()
    pixels = arguments["pixels"]
    count, height, width, _ = pixels.shape
    out = poisoned((count, 3, height, width), is_half)
    plane_px, numbers = ctypes.c_int64(height * width), packed_normalize(arguments)
    host.host_normalize(
        address(pixels), ctypes.c_int64(count), plane_px, address(numbers), address(out), is_half
    )
    close(out, reference.normalize(**arguments), case.tolerance, is_half)


def rounded(weights: GcnWeights) -> GcnWeights:
    """The weights as float16 holds them."""

    def half(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float16).astype(np.float32)

    return GcnWeights(
        half(weights.adjacency),
        tuple(map(half, weights.layer_weights)),
        tuple(map(half, weights.layer_biases)),
        half(weights.readout_weight),
        half(weights.readout_bias),
    )


@HALF
@pytest.mark.parametrize("case", [case for case in CASES if case.op == "au_gcn"], ids=str)
def test_au_gcn_cuda_matches_numpy(host: ctypes.CDLL, case: KernelCase, is_half: bool) -> None:
    arguments = case.make()
    dtype = np.float16 if is_half else np.float32
    nodes = arguments["nodes"].astype(dtype)
    weights = rounded(arguments["weights"]) if is_half else arguments["weights"]
    flat = weights.packed.flat().astype(dtype)
    widths = np.array(weights.packed.widths, np.int32)
    out = np.full((len(nodes), 12), np.nan, np.float32)
    where = (address(widths), len(widths) - 1, address(flat), address(out))
    host.host_au_gcn(address(nodes), ctypes.c_int64(len(nodes)), *where, is_half)
    expected = reference.au_gcn(nodes.astype(np.float32), weights)
    np.testing.assert_allclose(out, expected, rtol=case.tolerance, atol=case.tolerance)


@HALF
@pytest.mark.parametrize("size_px", [28, 37, 112, 224])
def test_appearance_grid_cuda_matches_numpy(host: ctypes.CDLL, size_px: int, is_half: bool) -> None:
    random = np.random.default_rng(size_px)
    crops = random.standard_normal((3, 3, size_px, size_px)).astype(
        np.float16 if is_half else np.float32
    )
    out = np.full((3, 3, 12, 12), np.nan, np.float32)
    host.host_appearance_grid(address(crops), ctypes.c_int64(3), size_px, address(out), is_half)
    full = crops.astype(np.float32)
    np.testing.assert_array_equal(out, sample_grid(full))
    np.testing.assert_array_equal(descriptors_from_grid(out), appearance_descriptors(full))


def test_cuda_kernels_without_faces_launch_nothing(host: ctypes.CDLL) -> None:
    weights = graph_weights(8, 1)
    widths = np.array(weights.packed.widths, np.int32)
    host.host_au_gcn(None, ctypes.c_int64(0), address(widths), 1, None, None, 0)
    host.host_normalize(
        None,
        ctypes.c_int64(0),
        ctypes.c_int64(9),
        address(np.array([*MEAN, *STD], np.float32)),
        None,
        0,
    )

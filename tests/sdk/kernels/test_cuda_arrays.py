"""Arrays and streams of other libraries as arguments of the CUDA kernels; no GPU is needed."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceaffect import kernels
from faceaffect.kernels.native import native

pytestmark = pytest.mark.skipif(not kernels.build_info().has_cuda, reason="built without CUDA")
NO_GPU = "no NVIDIA driver is loaded|no NVIDIA GPU is visible|the driver knows CUDA"


class GpuArray:
    """As torch, CuPy, PyCUDA and Numba describe an array; the address is fake."""

    def __init__(
        self, shape: tuple[int, ...], typestr: str = "<f4", address: int = 4096, **more: Any
    ) -> None:
        data = (address, more.pop("read_only", False))
        self.shape = shape
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": typestr,
            "data": data,
            "version": 3,
        } | more


class DlArray:
    """NumPy's own DLPack capsule, its device kind changed to that of CUDA."""

    def __init__(self, array: np.ndarray, kind: int = 2) -> None:
        self._array, self._kind = array, kind
        self.asked_stream: int | None = None

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._kind, 0

    def __dlpack__(self, stream: int | None = None) -> Any:
        self.asked_stream = stream
        return self._array.__dlpack__()


def has_gpu() -> bool:
    if (
        not kernels.build_info().has_cuda
    ):  # asked while the file is read, also where all of it is skipped
        return False
    try:
        native.require_device()
    except native.CudaError:
        return False
    return True


def test_cuda_array_interface_is_read_unchanged() -> None:
    assert native.describe_cuda_array(GpuArray((2, 3), "<f2", 8192)) == (
        8192,
        [2, 3],
        [6, 2],
        "f",
        2,
    )
    assert native.describe_cuda_array(GpuArray((2, 3), "|u1", strides=(64, 1))) == (
        4096,
        [2, 3],
        [64, 1],
        "u",
        1,
    )
    assert native.describe_cuda_array(GpuArray((0, 3), strides=None, stream=None))[1] == [0, 3]


def test_dlpack_is_read_without_copy() -> None:
    numbers = np.zeros((4, 5, 2), np.float16)[:, 1:4]
    got = native.describe_cuda_array(DlArray(numbers))
    assert got == (numbers.ctypes.data, [4, 3, 2], list(numbers.strides), "f", 2)
    asked = DlArray(numbers)
    native.describe_cuda_array(asked)
    assert asked.asked_stream == 1, "1 is DLPack's name of the default stream"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            DlArray(np.zeros(3), kind=1),
            "in pinned memory, this DlArray is on DLPack device kind 1",
        ),
        (GpuArray((3,), ">f4"), "byte order"),
        (GpuArray((3,), mask=GpuArray((3,), "|b1")), "array must have no mask"),
        (
            np.zeros(3, np.float32),
            "this NumPy array is in ordinary host memory; copy it into a PinnedBuffer",
        ),
        ([1.0, 2.0], "must be an array on an NVIDIA GPU .*, got list"),
    ],
)
def test_array_in_other_memory_raises(array: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        native.describe_cuda_array(array)


@pytest.mark.parametrize(
    ("stream", "handle"),
    [
        (None, 0),
        (77, 77),
        (SimpleNamespace(cuda_stream=5), 5),  # torch
        (SimpleNamespace(ptr=6), 6),  # CuPy
        (SimpleNamespace(handle=7), 7),  # PyCUDA, ours
        (SimpleNamespace(handle=ctypes.c_void_p(8)), 8),  # Numba
        (SimpleNamespace(handle=ctypes.c_void_p(None)), 0),
        (SimpleNamespace(__cuda_stream__=lambda: (0, 9)), 9),  # cuda-python
    ],
)
def test_stream_handle_of_every_library_is_read(stream: Any, handle: int) -> None:
    assert native.stream_handle(stream) == handle


def test_stream_handle_of_other_object_raises() -> None:
    with pytest.raises(ValueError, match=r"stream must be None, .*got str"):
        native.stream_handle("main")


MAPS, OUT = GpuArray((2, 2, 3)), GpuArray((2, 3, 16, 16))
STATISTICS = ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    ("frame", "pixel_format", "maps", "out", "message"),
    [
        (
            GpuArray((9, 9, 3)),
            "BGR",
            MAPS,
            OUT,
            r"frame must be uint8 \[H, W, 3\] .*, got float32 \(9, 9, 3\)",
        ),
        (GpuArray((9, 9), "|u1"), "BGR", MAPS, OUT, r"frame must be uint8 \[H, W, 3\]"),
        (GpuArray((9, 9, 3), "|u1", strides=(54, 6, 2)), "RGB", MAPS, OUT, "adjacent pixels"),
        (GpuArray((10, 9), "|u1"), "NV12", MAPS, OUT, "an NV12 frame must be"),
        (
            (GpuArray((8, 8), "|u1"), GpuArray((4, 3, 2), "|u1")),
            "NV12",
            MAPS,
            OUT,
            "half as wide and half as high",
        ),
        (GpuArray((9, 9, 3), "|u1"), "CMYK", MAPS, OUT, "pixel_format must be BGR"),
        (
            GpuArray((9, 9, 3), "|u1"),
            "BGR",
            GpuArray((2, 3)),
            OUT,
            r"crop_to_frame must be contiguous float32 \[N, 2, 3\]",
        ),
        (
            GpuArray((9, 9, 3), "|u1"),
            "BGR",
            MAPS,
            GpuArray((3, 3, 16, 16)),
            r"out must be .* \(2, 3, 16, 16\) on the GPU, got",
        ),
        (
            GpuArray((9, 9, 3), "|u1"),
            "BGR",
            MAPS,
            GpuArray((2, 3, 16, 16), "<f8"),
            "out must be a writable.*float64",
        ),
        (
            GpuArray((9, 9, 3), "|u1"),
            "BGR",
            MAPS,
            GpuArray((2, 3, 16, 16), read_only=True),
            "got read-only float32",
        ),
    ],
)
def test_crop_face_cuda_with_wrong_arguments_raises(
    frame: Any, pixel_format: str, maps: Any, out: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        native.crop_face_cuda(frame, pixel_format, maps, *STATISTICS, out, None)


@pytest.mark.parametrize(
    "array",
    [
        GpuArray((2, 2, 3), address=4098),
        GpuArray((2, 3, 16, 16), "<f2", 4097),
        GpuArray((2, 3), strides=(14, 4)),
    ],
)
def test_normalize_cuda_with_unreadable_memory_raises(array: Any) -> None:
    """On a GPU the kernel would be stopped, and CUDA with it, for the rest of the process."""
    with pytest.raises(
        ValueError, match=r"array must begin and step at multiples of its . byte items, got address"
    ):
        native.describe_cuda_array(array)


def test_crop_jobs_cuda_with_unaligned_jobs_raises() -> None:
    with pytest.raises(ValueError, match="jobs must begin at a multiple of 8 bytes"):
        native.crop_jobs_cuda(GpuArray((1024,), "|u1", 4100), *STATISTICS, OUT, None)


def test_au_gcn_cuda_with_wrong_arguments_raises() -> None:
    nodes, out = GpuArray((2, 12, 8)), GpuArray((2, 12))
    with pytest.raises(ValueError, match="widths must be from 1 to 512, got 513"):
        native.au_gcn_cuda(nodes, GpuArray((9,)), [513], out, None)
    with pytest.raises(ValueError, match=r"nodes must be contiguous \[N, 12, 9\]"):
        native.au_gcn_cuda(nodes, GpuArray((9,)), [9], out, None)
    with pytest.raises(
        ValueError,
        match=r"weights must be contiguous \(400,\) of the type of the nodes, got float32 \(9,\)",
    ):
        native.au_gcn_cuda(nodes, GpuArray((9,)), [8], out, None)
    with pytest.raises(
        ValueError, match=r"weights must be contiguous .*, got float32 \(400,\) with gaps"
    ):
        native.au_gcn_cuda(nodes, GpuArray((400,), strides=(8,)), [8], out, None)


@pytest.mark.skipif(has_gpu(), reason="there is a GPU here, so its absence cannot be shown")
def test_cuda_without_gpu_names_cause_and_remedy() -> None:
    frame = GpuArray((9, 9, 3), "|u1")
    calls: list[Any] = [
        lambda: native.crop_face_cuda(frame, "BGR", MAPS, *STATISTICS, OUT, None),
        lambda: native.normalize_cuda(
            GpuArray((1, 2, 2, 3), "|u1"), *STATISTICS, GpuArray((1, 3, 2, 2)), None
        ),
        lambda: native.appearance_grid_cuda(
            GpuArray((1, 3, 28, 28)), GpuArray((1, 3, 12, 12)), None
        ),
        lambda: native.DeviceBuffer(8),
        lambda: native.PinnedBuffer(8),
        native.Stream,
        native.Event,
        native.device_count,
    ]
    for call in calls:
        with pytest.raises(native.CudaError, match=NO_GPU):
            call()


def test_buffer_view_without_device_is_described() -> None:
    from faceaffect.kernels import cuda

    assert set(cuda.__all__) <= set(dir(cuda))
    with pytest.raises(ValueError, match="needs out or size_px"):
        cuda.crop_face(GpuArray((9, 9, 3), "|u1"), "BGR", MAPS, mean=(0,) * 3, std=(1,) * 3)

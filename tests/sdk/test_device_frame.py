"""Frames on the GPU: read in place, downloaded only on demand."""

from __future__ import annotations

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import frame_of
from faceaffect import device_frame, kernels
from faceaffect.bundle.bundle import open_bundle
from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels.reference import split_planes
from faceaffect.tracking.shot_detector import ShotChangeDetector
from faceaffect.types import Frame, PixelFormat
from tests.sdk.backends.test_cuda_frame_runner import SIZE, make_runner, maps_of
from tests.sdk.tiny_bundle import write_tiny_bundle


class OnGpu:
    """Host memory that claims to be on a GPU."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        data = (array.ctypes.data, False)
        shape, strides = array.shape, array.strides
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "|u1",
            "data": data,
            "strides": strides,
            "version": 3,
        }


def frame_on_gpu(frame: Frame, *, in_planes: bool = False) -> tuple[DeviceFrame, list[int]]:
    """The frame as if on a GPU, rows padded by 13 bytes, and the bytes of each download."""
    downloads: list[int] = []

    def padded(array: np.ndarray) -> OnGpu:
        wide = np.zeros((len(array), array[0].size + 13), np.uint8)
        wide[:, : array[0].size] = array.reshape(len(array), -1)
        strides = (wide.strides[0], *array.strides[1:])
        return OnGpu(np.lib.stride_tricks.as_strided(wide, array.shape, strides))

    def download(to: int, origin: int, row_bytes: int, rows: int, origin_stride: int) -> None:
        downloads.append(row_bytes * rows)
        for y in range(rows):
            ctypes.memmove(to + y * row_bytes, origin + y * origin_stride, row_bytes)

    gpu: Any = padded(frame.pixels)
    if in_planes:
        luma, *chroma = split_planes(frame)
        if frame.chroma is not None:
            chroma = list(frame.chroma)
        gpu = tuple(padded(plane) for plane in (luma[:, :, 0], *chroma))
    device = DeviceFrame(gpu, frame.pixel_format, 1.5, color=frame.color, download=download)
    return device, downloads


CASES = [(pixel_format, pixel_format is PixelFormat.I420) for pixel_format in PixelFormat]
CASES += [(PixelFormat.NV12, True)]


@pytest.mark.parametrize(("pixel_format", "in_planes"), CASES)
def test_device_frame_pixels_are_downloaded_once(
    pixel_format: PixelFormat, in_planes: bool
) -> None:
    frame = frame_of(pixel_format, 24, 32)
    device, downloads = frame_on_gpu(frame, in_planes=in_planes)
    assert (device.height_px, device.width_px, device.time_s) == (24, 32, 1.5)
    assert downloads == []
    np.testing.assert_array_equal(device.pixels, frame.pixels)
    planes = [frame.pixels, *(frame.chroma or ())]
    for got, expected in zip((device.pixels, *(device.chroma or ())), planes, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert sum(downloads) == sum(plane.nbytes for plane in planes)
    assert len(downloads) == max(1 + in_planes, len(planes)), "one copy per plane"
    assert device.pixels is device.pixels


def test_device_frame_download_waits_for_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder's own stream does not wait for the default one, nor that for it."""
    done: list[Any] = []

    class Event:
        def record(self, stream: int) -> None:
            done.append(stream)

        def synchronize(self) -> None:
            done.append("waited")

    monkeypatch.setattr(device_frame, "native", SimpleNamespace(has_cuda=True, Event=Event))
    array = OnGpu(np.zeros((4, 6), np.uint8))
    array.__cuda_array_interface__["stream"] = 77
    frame = DeviceFrame(array, PixelFormat.GRAY, download=lambda *copy: done.append("copied"))
    assert frame.pixels.shape == (4, 6)
    assert done == [77, "waited", "copied"]


@pytest.mark.skipif(not kernels.build_info().has_cuda, reason="built without CUDA")
@pytest.mark.parametrize(("pixel_format", "in_planes"), CASES)
def test_cuda_frame_runner_reads_device_frame_in_place(
    pixel_format: PixelFormat, in_planes: bool, tmp_path: Path
) -> None:
    bundle = open_bundle(write_tiny_bundle(tmp_path, size_px=SIZE))
    runner, gpu, _ = make_runner(bundle)
    frame = frame_of(pixel_format, 300, 400)
    device, downloads = frame_on_gpu(frame, in_planes=in_planes)
    maps = maps_of(2, frame)
    expected, _ = runner.run(frame, maps)
    gpu.copied_bytes.clear()
    for _ in range(3):
        got, _ = runner.run(device, maps)  # the third replays a graph
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value, err_msg=name)
    assert downloads == []
    assert max(gpu.copied_bytes) < 100_000, "only what says where the faces are travels"


def test_device_frame_with_wrong_array_raises() -> None:
    with pytest.raises(
        ValueError, match=r"expected a uint8 array with __cuda_array_interface__, got ndarray"
    ):
        DeviceFrame(np.zeros((4, 4, 3), np.uint8), PixelFormat.BGR)
    with pytest.raises(ValueError, match="the shape of a BGR frame"):
        DeviceFrame(OnGpu(np.zeros((4, 4), np.uint8)), PixelFormat.BGR)
    planes = OnGpu(np.zeros((4, 4), np.uint8)), OnGpu(np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="the shape of a GRAY frame"):
        DeviceFrame(planes, PixelFormat.GRAY)


@pytest.mark.parametrize(("pixel_format", "in_planes"), CASES)
@pytest.mark.parametrize("is_downloaded", [False, True])
def test_shot_detector_downloads_few_rows(
    pixel_format: PixelFormat, in_planes: bool, is_downloaded: bool
) -> None:
    on_host, on_gpu = ShotChangeDetector(), ShotChangeDetector()
    for seed in (1, 1, 2):
        frame = frame_of(pixel_format, 360, 640, seed=seed)
        moved, downloads = frame_on_gpu(frame, in_planes=in_planes)
        if is_downloaded:
            chroma = moved.chroma or ()
            assert moved.pixels.size + sum(plane.size for plane in chroma) == sum(downloads)
            downloads.clear()
        assert on_gpu.update(moved) == on_host.update(frame)
        assert on_gpu.change == on_host.change
        assert sum(downloads) == (0 if is_downloaded else 18 * frame.pixels[0].size)
    assert on_host.change > 0

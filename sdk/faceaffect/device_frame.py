"""Frames in GPU memory, as hardware decoders, cameras and other libraries provide them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.native import native
from faceaffect.types import Chroma, Frame, PixelFormat, Planes, YuvColor

Download = Callable[[int, int, int, int, int], None]
"""Called as download(to, origin, row_bytes, rows, origin_stride): copies rows whose starts are a
stride apart from a device address to adjacent rows at a host address, and waits for the copy."""


class DeviceFrame:
    """A `Frame` whose pixels are in GPU memory.

    With the TensorRT backend the crop kernel reads them in place. `pixels` downloads them, once,
    for consumers on the host: the face detector, CPU backends, the annotator.
    """

    def __init__(
        self,
        gpu: Any,
        pixel_format: PixelFormat,
        time_s: float = 0.0,
        index: int = 0,
        source: str = "",
        *,
        color: YuvColor = YuvColor.BT601,
        download: Download | None = None,
    ) -> None:
        """Wrap an array without copying it.

        Args:
            gpu: uint8 array with `__cuda_array_interface__` and the shape of `Frame.pixels`, rows
                may be padded; for NV12 also a tuple of luma [H, W] and chroma [H / 2, W / 2, 2],
                for I420 a tuple of Y [H, W], U and V [(H + 1) / 2, (W + 1) / 2].
            pixel_format: Pixel format of `gpu`.
            time_s: Presentation time, seconds from the start of the source.
            index: Number of the frame in the source, from 0.
            source: Name of the file or device.
            color: Color matrix and range of a NV12 or I420 frame.
            download: Replacement for the CUDA copy to the host.

        Raises:
            ValueError: `gpu` is no such array, or its shape does not fit `pixel_format`.
        """
        self.gpu = gpu
        self.pixel_format = pixel_format
        self.time_s = time_s
        self.index = index
        self.source = source
        self.color = color
        planes = gpu if isinstance(gpu, tuple) else (gpu,)
        self._planes = [_interface(plane) for plane in planes]
        first = self._planes[0]["shape"]
        ndim = 3 if pixel_format.is_color else 2
        has_chroma_plane = len(planes) == 2
        plane_counts = {PixelFormat.NV12: (1, 2), PixelFormat.I420: (3,)}
        if len(first) != ndim or len(planes) not in plane_counts.get(pixel_format, (1,)):
            shapes = [plane["shape"] for plane in self._planes]
            raise ValueError(f"expected the shape of a {pixel_format.value} frame, got {shapes}")
        is_single_nv12 = pixel_format is PixelFormat.NV12 and not has_chroma_plane
        self.height_px = int(first[0]) * 2 // 3 if is_single_nv12 else int(first[0])
        self.width_px = int(first[1])
        self._download = download or _download
        self._host: Frame | None = None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels on the host, as in `Frame`."""
        return self._on_host().pixels

    @property
    def chroma(self) -> Chroma | None:
        """Chroma of an I420 frame on the host, as in `Frame`."""
        return self._on_host().chroma

    @property
    def planes(self) -> NDArray[np.uint8] | Planes:
        """The planes on the host, as in `Frame`."""
        return self._on_host().planes

    def _on_host(self) -> Frame:
        if self._host is None:
            first, *others = [self._plane_on_host(plane) for plane in self._planes]
            chroma = None
            if self.pixel_format is PixelFormat.I420:
                chroma = (others[0], others[1])
            elif others:
                first = np.concatenate([first, others[0].reshape(-1, self.width_px)])
            self._host = Frame(
                first, self.pixel_format, self.time_s, self.index, self.source, chroma, self.color
            )
        return self._host

    def sample_rows(self, row_step: int) -> Frame:
        """Every `row_step`-th row of the image, or of YUV's luma, from row `row_step // 2`.

        Unlike `pixels` this downloads little.
        """
        first = row_step // 2
        if self._host is not None:
            rows = self._host.pixels[first : self.height_px : row_step]
        else:
            plane = self._planes[0]
            _wait_for(plane.get("stream"))
            _, row_bytes, stride = _rows_of(plane)
            count = len(range(first, self.height_px, row_step))
            rows = np.empty((count, *plane["shape"][1:]), np.uint8)
            begin = plane["data"][0] + first * stride
            self._download(rows.ctypes.data, begin, row_bytes, count, row_step * stride)
        pixel_format = PixelFormat.GRAY if self.pixel_format.is_yuv else self.pixel_format
        return Frame(rows, pixel_format, self.time_s)

    def copy_to(self, address: int, stream: Any) -> None:
        """Queue a copy to adjacent rows at a device address, after the producer's work.

        Args:
            address: Of GPU memory for the bytes of `pixels`.
            stream: A `Stream` of the native module.
        """
        for plane in self._planes:
            if plane.get("stream") is not None:
                event = native.Event()  # type: ignore[union-attr]  # of the module that made `stream`
                event.record(plane["stream"])
                stream.wait(event)
            rows, row_bytes, stride = _rows_of(plane)
            native.copy_rows(  # type: ignore[union-attr]
                address, row_bytes, plane["data"][0], stride, row_bytes, rows, stream
            )
            address += rows * row_bytes

    def _plane_on_host(self, plane: dict[str, Any]) -> NDArray[np.uint8]:
        """Download a plane after its producer has written it."""
        _wait_for(plane.get("stream"))
        out = np.empty(plane["shape"], np.uint8)
        rows, row_bytes, stride = _rows_of(plane)
        self._download(out.ctypes.data, plane["data"][0], row_bytes, rows, stride)
        return out


def _interface(array: Any) -> dict[str, Any]:
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is None or interface["typestr"] != "|u1":
        got = type(array).__name__ if interface is None else interface["typestr"]
        raise ValueError(f"expected a uint8 array with __cuda_array_interface__, got {got}")
    return dict(interface)


def _rows_of(plane: dict[str, Any]) -> tuple[int, int, int]:
    """Number of rows, their bytes, and the bytes from one to the next."""
    rows, *rest = plane["shape"]
    row_bytes = int(np.prod(rest))
    stride = plane["strides"][0] if plane.get("strides") else row_bytes
    return int(rows), row_bytes, int(stride)


def _wait_for(stream: int | None) -> None:
    """Wait for the work queued on `stream`; None is an array that is ready."""
    if stream is not None and native is not None and native.has_cuda:
        event = native.Event()
        event.record(stream)
        event.synchronize()


def _download(to: int, origin: int, row_bytes: int, rows: int, origin_stride: int) -> None:
    if native is None or not native.has_cuda:
        raise RuntimeError(
            "a frame on the GPU needs the CUDA kernels; build faceaffect with FACEAFFECT_CUDA=ON"
        )
    native.copy_rows(to, row_bytes, origin, origin_stride, row_bytes, rows, None)
    event = native.Event()
    event.record(None)
    event.synchronize()

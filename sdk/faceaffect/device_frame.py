"""A frame that lies on the GPU already: decoders, cameras and other libraries hand it over without
a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat

Download = Callable[[int, int, int], None]
"""Copies so many bytes from an address on the GPU to one on the host, and waits."""


class DeviceFrame:
    """Stands in for a `Frame`; `gpu` is a uint8 array on the GPU (`__cuda_array_interface__`), rows
    may be padded.

    Shapes are those of `Frame.pixels`; NV12 may also be a tuple of luma [H, W] and chroma [H /
    2, W / 2, 2]. With the TensorRT backend the crop kernel reads it where it lies. `pixels`
    downloads it, once, for whom needs it on the host: the detector when it looks for faces, CPU
    backends, the overlay.
    """

    def __init__(
        self,
        gpu: Any,
        layout: PixelFormat,
        time_s: float = 0.0,
        index: int = 0,
        source: str = "",
        *,
        download: Download | None = None,
    ) -> None:
        self.gpu, self.layout, self.time_s, self.index, self.source = (
            gpu,
            layout,
            time_s,
            index,
            source,
        )
        planes = gpu if isinstance(gpu, tuple) else (gpu,)
        self._planes = [_interface(plane) for plane in planes]
        first = self._planes[0]["shape"]
        if len(first) != (3 if layout in (PixelFormat.BGR, PixelFormat.RGB) else 2) or (
            len(planes) == 2
        ) > (layout is PixelFormat.NV12):
            raise ValueError(
                f"a {layout.value} frame on the GPU cannot be {[plane['shape'] for plane in self._planes]}"
            )
        is_whole_nv12 = layout is PixelFormat.NV12 and len(planes) == 1
        self.height_px = int(first[0]) * 2 // 3 if is_whole_nv12 else int(first[0])
        self.width_px = int(first[1])
        self._download = download or _download
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The frame on the host, as `Frame.pixels` has it."""
        if self._pixels is None:
            parts = [self._plane_on_host(plane) for plane in self._planes]
            self._pixels = (
                parts[0]
                if len(parts) == 1
                else np.concatenate([parts[0], parts[1].reshape(-1, self.width_px)])
            )
        return self._pixels

    def _plane_on_host(self, plane: dict[str, Any]) -> NDArray[np.uint8]:
        """Row by row where they are padded, once the array's producer has written it."""
        _wait_for(plane.get("stream"))
        shape = plane["shape"]
        out = np.empty(shape, np.uint8)
        row_bytes = int(np.prod(shape[1:]))
        stride = plane["strides"][0] if plane.get("strides") else row_bytes
        if stride == row_bytes:
            self._download(out.ctypes.data, plane["data"][0], out.nbytes)
        else:
            for y in range(shape[0]):
                self._download(
                    out.ctypes.data + y * row_bytes, plane["data"][0] + y * stride, row_bytes
                )
        return out


def _interface(array: Any) -> dict[str, Any]:
    found = getattr(array, "__cuda_array_interface__", None)
    if found is None or found["typestr"] != "|u1":
        got = type(array).__name__ if found is None else found["typestr"]
        raise ValueError(
            f"a frame on the GPU must be a uint8 array with __cuda_array_interface__, got {got}"
        )
    return dict(found)


def _wait_for(stream: int | None) -> None:
    """Until the work is done that the stream has; None is an array that is ready."""
    if stream is not None and native is not None and native.has_cuda:
        written = native.Event()
        written.record(stream)
        written.synchronize()


def _download(to: int, origin: int, nbytes: int) -> None:
    if native is None or not native.has_cuda:
        raise RuntimeError(
            "a frame on the GPU needs the CUDA kernels; build faceaffect with FACEAFFECT_CUDA=ON"
        )
    native.copy_bytes(to, origin, nbytes, None)
    done = native.Event()
    done.record(None)
    done.synchronize()

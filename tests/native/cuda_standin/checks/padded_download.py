"""Counts the copies of a 1080p NV12 device frame with rows padded to 2048 bytes, as decoders do."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat
from tests.native.cuda_standin import standin

ROW_STRIDE, HEIGHT, WIDTH = 2048, 1080, 1920
MAX_COPIES, MAX_WAITS = 2, 2
CALLS = (
    "cudaMemcpyAsync",
    "cudaMemcpy2DAsync",
    "cudaEventSynchronize",
    "cudaStreamSynchronize",
)


class PaddedPlane:
    """A plane in GPU memory with padded rows."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._shape = pixels.shape
        self._buffer = native.DeviceBuffer(len(pixels) * ROW_STRIDE)
        memory = standin.memory(self._buffer.address, (len(pixels), ROW_STRIDE), np.uint8)
        assert memory is not None
        memory[...] = 0xEE
        memory[:, :WIDTH] = pixels.reshape(len(pixels), WIDTH)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        strides = (ROW_STRIDE, 1) if len(self._shape) == 2 else (ROW_STRIDE, self._shape[2], 1)
        return {
            "shape": self._shape,
            "typestr": "|u1",
            "data": (self._buffer.address, False),
            "strides": strides,
            "version": 3,
        }


pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
chroma = pixels[HEIGHT:].reshape(HEIGHT // 2, WIDTH // 2, 2)
frame = DeviceFrame((PaddedPlane(pixels[:HEIGHT]), PaddedPlane(chroma)), PixelFormat.NV12)
before = standin.counts(*CALLS)
downloaded = frame.pixels
copies, copies_2d, *waits = standin.counts(*CALLS) - before
problems = [] if np.array_equal(downloaded, pixels) else ["the pixels differ from those on the GPU"]
if copies + copies_2d > MAX_COPIES or sum(waits) > MAX_WAITS:
    problems.append("too many copies or waits")
standin.finish(f"{copies + copies_2d} copies and {sum(waits)} waits for two planes", problems)

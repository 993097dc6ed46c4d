"""Frames in PyCUDA memory, analyzed without a copy: `python examples/pycuda_frames.py clip.mp4`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from faceaffect import PixelFormat, open_pipeline, open_source, to_bgr
from faceaffect.device_frame import DeviceFrame


class DeviceArray:
    """Describes memory by its address; for libraries without `__cuda_array_interface__`."""

    def __init__(self, address: int, shape: tuple[int, ...], owner: Any, stream: int = 1) -> None:
        """Keep `owner` alive; `stream` is where the memory is written, 1 the default stream."""
        self._owner = owner
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "|u1",
            "data": (address, False),
            "strides": None,
            "stream": stream,
            "version": 3,
        }


def main(path: str) -> None:
    """Upload each frame as a camera driver would, then analyze it on the GPU."""
    import pycuda.driver as cuda

    cuda.init()
    cuda.Device(0).retain_primary_context().push()  # the context of the CUDA runtime
    with open_source(path) as source, open_pipeline(backend="tensorrt") as pipeline:
        for frame in source:
            bgr = np.ascontiguousarray(to_bgr(frame))
            memory = cuda.mem_alloc(bgr.nbytes)
            cuda.memcpy_htod(memory, bgr)
            pixels = DeviceArray(int(memory), bgr.shape, memory)
            faces, affect = pipeline.analyze(
                DeviceFrame(pixels, PixelFormat.BGR, frame.time_s, frame.index)
            )
            print(frame.index, len(faces), affect.valence)


if __name__ == "__main__":
    main(sys.argv[1])

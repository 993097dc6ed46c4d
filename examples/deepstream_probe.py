"""A DeepStream pad probe that analyzes frames in GPU memory; nothing is copied to the host.

Use it on the source pad of `nvvideoconvert ! video/x-raw(memory:NVMM), format=RGBA` on x86-64:
`pad.add_probe(Gst.PadProbeType.BUFFER, AffectProbe(pipelines, pyds, Gst.PadProbeReturn.OK), 0)`.
On a Jetson `pyds` maps surfaces to the host instead.
"""

from __future__ import annotations

import ctypes
from typing import Any

from faceaffect import Pipeline, PixelFormat
from faceaffect.device_frame import DeviceFrame


def drop_alpha(address: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Copy RGBA [H, W, 4] in GPU memory to RGB [H, W, 3], which the kernels read."""
    import cupy

    memory = cupy.cuda.UnownedMemory(address, shape[0] * strides[0], owner=None)
    pointer = cupy.cuda.MemoryPointer(memory, 0)
    rgba = cupy.ndarray(shape, cupy.uint8, pointer, strides)
    return cupy.ascontiguousarray(rgba[:, :, :3])


class AffectProbe:
    """Callback of a pad; `results` has the faces and affect of the newest frame by source."""

    def __init__(self, pipelines: dict[int, Pipeline], pyds: Any, ok: Any) -> None:
        """Use one pipeline per source id; `ok` is `Gst.PadProbeReturn.OK`."""
        self._pipelines, self._pyds, self._ok = pipelines, pyds, ok
        self._address_of = ctypes.pythonapi.PyCapsule_GetPointer
        self._address_of.restype = ctypes.c_void_p
        self._address_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
        self.results: dict[int, Any] = {}

    def __call__(self, pad: Any, info: Any, user_data: Any) -> Any:
        """Analyze the frames of a buffer."""
        buffer = hash(info.get_buffer())
        link = self._pyds.gst_buffer_get_nvds_batch_meta(buffer).frame_meta_list
        while link is not None:
            meta = self._pyds.NvDsFrameMeta.cast(link.data)
            surface = self._pyds.get_nvds_buf_surface_gpu(buffer, meta.batch_id)
            _, shape, strides, capsule, _ = surface
            rgb = drop_alpha(self._address_of(capsule, None), shape, strides)
            frame = DeviceFrame(rgb, PixelFormat.RGB, meta.buf_pts / 1e9)
            self.results[meta.source_id] = self._pipelines[meta.source_id].analyze(frame)
            link = link.next
        return self._ok

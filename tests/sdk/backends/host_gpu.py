"""A simulated GPU: the native module's interface over host memory, with the kernels compiled for
the host.

It is synchronous: everything runs when it is queued, or, inside a capture, when the graph is
launched.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime

from faceaffect.bundle.model_spec import HEADS
from faceaffect.kernels.native import native

ITEMS = {"<f4": np.float32, "<f2": np.float16, "|u1": np.uint8}


class CudaError(RuntimeError):
    pass


class View:
    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.address = array, list(array.shape), array.ctypes.data


class Buffer:
    """Device or pinned memory."""

    def __init__(self, nbytes: int) -> None:
        self._memory = np.full(nbytes, 0xFF, np.uint8)  # NaN in every float type
        self.nbytes, self.address = nbytes, self._memory.ctypes.data

    def bytes(self) -> np.ndarray:
        return self._memory

    def view(self, shape: Sequence[int], typestr: str = "<f4", offset: int = 0) -> View:
        dtype = np.dtype(ITEMS[typestr])
        count = int(np.prod(shape))
        return View(
            self._memory[offset : offset + count * dtype.itemsize].view(dtype).reshape(shape)
        )


class Graph:
    def __init__(self, steps: list[Callable[[], None]]) -> None:
        self.steps, self.launches = steps, 0

    def launch(self, stream: Any) -> None:
        self.launches += 1
        for step in self.steps:
            step()


class HostGpu:
    """Replaces `faceaffect.kernels._native`; counts calls."""

    CudaError = CudaError
    DeviceBuffer = PinnedBuffer = Buffer

    def __init__(self, kernels: ctypes.CDLL, *, can_capture: bool = True) -> None:
        self._kernels, self._can_capture = kernels, can_capture
        self.recording: list[Callable[[], None]] | None = None
        self.graphs: list[Graph] = []
        self.copied_bytes: list[int] = []
        self.pack_upload = native.pack_upload
        self.face_job_bytes = native.face_job_bytes

    def pack_device_upload(self, *arguments: Any) -> int:
        *others, _, color = arguments  # runs on no stream
        return int(native.pack_device_upload(*others, None, color))

    def Stream(self) -> Any:  # noqa: N802
        gpu = self

        class Stream:
            handle = 7

            def synchronize(self) -> None:
                assert gpu.recording is None, "synchronization is not allowed inside a capture"

            def begin_capture(self) -> None:
                if not gpu._can_capture:
                    raise CudaError("capture is not possible")
                gpu.recording = []

            def end_capture(self) -> Graph:
                graph = Graph(gpu.recording or [])
                gpu.recording = None
                gpu.graphs.append(graph)
                return graph

            def abandon_capture(self) -> None:
                gpu.recording = None

        return Stream()

    @staticmethod
    def _array_of(value: Any) -> np.ndarray:
        """The array of a view, or an array in pinned memory."""
        return value if isinstance(value, np.ndarray) else value.array

    def do(self, step: Callable[[], None]) -> None:
        if self.recording is None:
            step()
        else:
            self.recording.append(step)

    def copy_bytes(self, to: int, origin: int, nbytes: int, stream: Any) -> None:
        self.copied_bytes.append(nbytes)
        self.do(lambda: ctypes.memmove(to, origin, nbytes) and None)

    def crop_jobs_cuda(self, jobs: View, mean: Any, std: Any, out: View, stream: Any) -> None:
        numbers = np.array([*mean, *std], np.float32)
        out_array, job_array = self._array_of(out), self._array_of(jobs)
        count, _, side, _ = out_array.shape
        is_half = out_array.dtype == np.float16
        where = (_at(job_array), count, side, _at(numbers), _at(out_array), int(is_half))
        self.do(lambda: self._kernels.host_crop_jobs(*where) and numbers is None)

    def au_gcn_cuda(
        self, nodes: View, weights: View, widths: list[int], out: View, stream: Any
    ) -> None:
        node_array, out_array = self._array_of(nodes), self._array_of(out)
        sizes, is_half = np.array(widths, np.int32), int(node_array.dtype == np.float16)

        def run() -> None:
            count = ctypes.c_int64(len(node_array))
            self._kernels.host_au_gcn(
                _at(node_array),
                count,
                _at(sizes),
                len(sizes) - 1,
                _at(weights.array),
                _at(out_array),
                is_half,
            )

        self.do(run)

    def appearance_grid_cuda(self, crops: View, out: View, stream: Any) -> None:
        is_half = int(crops.array.dtype == np.float16)
        count, _, side, _ = crops.array.shape
        out_array = self._array_of(out)
        self.do(
            lambda: self._kernels.host_appearance_grid(
                _at(crops.array), ctypes.c_int64(count), side, _at(out_array), is_half
            )
        )


class OnnxNetwork:
    """ONNX Runtime as a `CudaNetwork`, reading and writing the bound addresses."""

    def __init__(self, gpu: HostGpu, onnx: bytes, size_px: int, crop_typestr: str = "<f4") -> None:
        self._gpu, self._size_px, self.crop_typestr = gpu, size_px, crop_typestr
        self._session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        one = self._session.run(
            list(HEADS), {"crops": np.zeros((1, 3, size_px, size_px), ITEMS[crop_typestr])}
        )
        self.output_shapes = {name: value.shape[1:] for name, value in zip(HEADS, one, strict=True)}
        self._bound: dict[int, dict[str, int]] = {}
        self.runs: list[int] = []

    def bind(self, faces: int, addresses: dict[str, int]) -> None:
        self._bound[faces] = addresses

    def enqueue(self, faces: int, stream: int) -> None:
        def run() -> None:
            self.runs.append(faces)
            addresses = self._bound[faces]
            crops = _array(
                addresses["crops"],
                (faces, 3, self._size_px, self._size_px),
                ITEMS[self.crop_typestr],
            )
            for name, value in zip(
                HEADS, self._session.run(list(HEADS), {"crops": crops}), strict=True
            ):
                _array(addresses[name], value.shape, np.float32)[...] = value

        self._gpu.do(run)


def _at(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _array(address: int, shape: Sequence[int], dtype: Any) -> np.ndarray:
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * nbytes).from_address(address), dtype).reshape(shape)

"""Runs a face detector's network on whole frames, on a stream of its own.

A run has two halves: `start` queues it and returns, `finish` waits for it. Between them the GPU
works beside everything else.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from faceaffect.backends.backend import BackendError
from faceaffect.backends.load_engine import LoadedEngine
from faceaffect.backends.tensorrt_compat import last_errors, new_context
from faceaffect.device_frame import DeviceFrame
from faceaffect.types import FloatArray, Frame, PixelFormat

log = logging.getLogger("faceaffect")
_JOB_BYTES: Final[int] = 4096
"""Upload of the crop kernel's description of one crop."""
_MAX_SHAPES: Final[int] = 8
"""Input sizes that keep their buffers; a source has one or two."""


@dataclass(frozen=True, slots=True)
class DetectorInput:
    """Input of one run: the frame resized by `scale`, with borders on the right and below.

    Attributes:
        height_px: Of the input, with its border.
        width_px: Of the input, with its border.
        image_height_px: Of the resized frame.
        image_width_px: Of the resized frame.
        scale: Frame pixels per input pixel.
        gain: By how much the image is brightened.
    """

    height_px: int
    width_px: int
    image_height_px: int
    image_width_px: int
    scale: float
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class InputNormalization:
    """Input value = (pixel / 255 - mean) / std, and the pixel value of the borders."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    border: int


class _Run:
    """Context, buffers and CUDA graph of one input size."""

    def __init__(self, runner: CudaDetectorRunner, size: DetectorInput) -> None:
        cuda = self._cuda = runner.cuda
        self._runner, self._size = runner, size
        self._side_px = max(size.image_height_px, size.image_width_px)
        self._job_host, self._job = cuda.PinnedBuffer(_JOB_BYTES), cuda.DeviceBuffer(_JOB_BYTES)
        self._crop = cuda.DeviceBuffer(3 * 4 * self._side_px**2)
        border = (runner.normalization.border / 255 - np.array(runner.normalization.mean)) / (
            np.array(runner.normalization.std)
        )
        shape = (1, 3, size.height_px, size.width_px)
        values = np.broadcast_to(border.astype(np.float32).reshape(1, 3, 1, 1), shape).copy()
        self._input = cuda.DeviceBuffer(values.nbytes)
        cuda.copy_bytes(self._input.address, values.ctypes.data, values.nbytes, runner.stream)
        runner.stream.synchronize()
        self._context = runner.create_context(shape)
        self._output_shape = tuple(self._context.get_tensor_shape(runner.output_name))
        self._output_bytes = 4 * math.prod(self._output_shape)
        self._output = cuda.DeviceBuffer(self._output_bytes)
        self._output_host = cuda.PinnedBuffer(self._output_bytes)
        addresses = {
            runner.input_name: self._input.address,
            runner.output_name: self._output.address,
        }
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise BackendError(
                    f"failed to bind tensor {name!r} (set_tensor_address returned False)"
                )
        self._graph: Any = None

    def start(self, planes: Any, frame: Frame | DeviceFrame) -> None:
        """Queue the run on `planes`, the copy of the frame in GPU memory."""
        size, runner = self._size, self._runner
        offset = 0.5 * size.scale - 0.5
        maps = np.array([[[size.scale, 0, offset], [0, size.scale, offset]]], np.float32)
        needed = self._cuda.pack_device_upload(
            planes,
            frame.pixel_format.value,
            maps,
            1,
            self._side_px,
            self._job_host.address,
            self._job.address,
            self._job.nbytes,
            runner.stream,
            frame.color.coefficients,
        )
        assert needed <= _JOB_BYTES
        if self._graph is not None:
            self._graph.launch(runner.stream)
            return
        self._queue()
        self._capture()  # for the runs that follow

    def _capture(self) -> None:
        stream = self._runner.stream
        try:
            stream.begin_capture()
            try:
                self._queue()
            except BaseException:
                stream.abandon_capture()
                raise
            self._graph = stream.end_capture()
        except RuntimeError as error:  # the next run tries again
            log.warning("faceaffect: no CUDA graph for the face detector: %s", error)

    def _queue(self) -> None:
        cuda, size, runner, side = self._cuda, self._size, self._runner, self._side_px
        stream = runner.stream
        mean, std = (
            tuple(value / size.gain for value in values[::-1])
            for values in (runner.normalization.mean, runner.normalization.std)
        )
        cuda.copy_bytes(self._job.address, self._job_host.address, _JOB_BYTES, stream)
        cuda.crop_jobs_cuda(
            self._job.view([_JOB_BYTES], "|u1"),
            mean,
            std,
            self._crop.view([1, 3, side, side], "<f4"),
            stream,
        )
        for channel in range(3):  # the crop is RGB, the network's input BGR
            cuda.copy_rows(
                self._input.address + 4 * channel * size.height_px * size.width_px,
                4 * size.width_px,
                self._crop.address + 4 * (2 - channel) * side * side,
                4 * side,
                4 * size.image_width_px,
                size.image_height_px,
                stream,
            )
        if not self._context.execute_async_v3(int(stream.handle)):
            raise BackendError(f"TensorRT could not run the detector: {runner.errors()}")
        cuda.copy_bytes(self._output_host.address, self._output.address, self._output_bytes, stream)

    def output(self) -> FloatArray:
        """Copy of the output of the last run, which has ended."""
        block = self._output_host.bytes()[: self._output_bytes].copy()
        values: FloatArray = np.ndarray(self._output_shape, np.float32, block)
        return values


class CudaDetectorRunner:
    """Runs an engine with one image as its input on frames in host or GPU memory.

    It belongs to one thread at a time.
    """

    def __init__(
        self, cuda: Any, loaded: LoadedEngine, device: int, normalization: InputNormalization
    ) -> None:
        """Allocate the engine's memory on the current GPU.

        Args:
            cuda: The native module `faceaffect.kernels._native`.
            loaded: The engine.
            device: Index of its GPU.
            normalization: Of the input, channels BGR.
        """
        self.cuda = cuda
        self.normalization = normalization
        self.input_name = loaded.settings.input_name
        self._loaded, self._device = loaded, device
        engine = loaded.engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self.output_name = next(name for name in names if name != self.input_name)
        self._memory = cuda.DeviceBuffer(max(1, int(engine.device_memory_size_v2)))
        self.stream = cuda.Stream()
        self._runs: dict[DetectorInput, _Run] = {}
        self._staging: tuple[Any, Any] | None = None
        self._started: list[_Run] | None = None

    def create_context(self, shape: tuple[int, ...]) -> Any:
        """An execution context for an input shape; contexts share their memory."""
        context: Any = new_context(self._loaded.library.module, self._loaded.engine)
        if context is None:
            raise BackendError(f"TensorRT cannot create an execution context: {self.errors()}")
        context.set_device_memory(self._memory.address, self._memory.nbytes)
        if not context.set_input_shape(self.input_name, shape):
            raise BackendError(f"the detector's engine does not take an input of shape {shape}")
        return context

    def errors(self) -> str:
        """TensorRT's last errors."""
        return last_errors(self._loaded.logger, "the GPU may be lost or out of memory")

    def start(self, frame: Frame | DeviceFrame, sizes: list[DetectorInput]) -> None:
        """Queue a run for each size on a copy of the frame, which may change afterwards.

        Raises:
            BackendError: The GPU fails, or the last runs were not finished.
        """
        if self._started is not None:
            raise BackendError("expected finish() after start(), got a second start()")
        with self.cuda.DeviceGuard(self._device):
            try:
                staged = self._stage(frame)
                runs = [self._run(size) for size in sizes]
                for run in runs:
                    run.start(staged, frame)
            except BaseException as error:
                with suppress(self.cuda.CudaError):  # what was queued still reads the buffers
                    self.stream.synchronize()
                if isinstance(error, self.cuda.CudaError):
                    raise BackendError(f"the detector failed on the GPU: {error}") from error
                raise
        self._started = runs

    def finish(self) -> list[FloatArray]:
        """Wait for the runs; the output of each size.

        Raises:
            BackendError: The GPU failed, or nothing was started.
        """
        runs, self._started = self._started, None
        if runs is None:
            raise BackendError("expected start() before finish()")
        try:
            with self.cuda.DeviceGuard(self._device):
                self.stream.synchronize()
        except self.cuda.CudaError as error:
            raise BackendError(f"the detector failed on the GPU: {error}") from error
        return [run.output() for run in runs]

    def _run(self, size: DetectorInput) -> _Run:
        if size not in self._runs:
            if len(self._runs) >= _MAX_SHAPES:
                self._runs.clear()
            self._runs[size] = _Run(self, size)
        return self._runs[size]

    def _stage(self, frame: Frame | DeviceFrame) -> Any:
        """Copy the frame to this runner's GPU memory; returns its planes there, rows adjacent."""
        shapes = _plane_shapes(frame)
        sizes = [math.prod(shape) for shape in shapes]
        nbytes = sum(sizes)
        if self._staging is None or self._staging[1].nbytes != nbytes:
            self._staging = self.cuda.PinnedBuffer(nbytes), self.cuda.DeviceBuffer(nbytes)
        pinned, on_gpu = self._staging
        offsets = [sum(sizes[:i]) for i in range(len(sizes))]
        if isinstance(frame, DeviceFrame):
            frame.copy_to(on_gpu.address, self.stream)
            self.stream.synchronize()  # for the copy only: the producer may now reuse the frame
        else:
            planes = frame.planes if isinstance(frame.planes, tuple) else (frame.planes,)
            block = pinned.bytes()
            for plane, offset, size in zip(planes, offsets, sizes, strict=True):
                np.copyto(block[offset : offset + size].reshape(plane.shape), plane)
            self.cuda.copy_bytes(on_gpu.address, pinned.address, nbytes, self.stream)
        views = tuple(
            on_gpu.view(list(shape), "|u1", offset)
            for shape, offset in zip(shapes, offsets, strict=True)
        )
        return views if len(views) > 1 else views[0]


def _plane_shapes(frame: Frame | DeviceFrame) -> list[tuple[int, ...]]:
    """Shapes of the arrays in `Frame.planes`, without downloading them."""
    height, width = frame.height_px, frame.width_px
    if frame.pixel_format is PixelFormat.I420:
        chroma = ((height + 1) // 2, (width + 1) // 2)
        return [(height, width), chroma, chroma]
    if frame.pixel_format is PixelFormat.NV12:
        return [(height * 3 // 2, width)]
    return [(height, width, 3) if frame.pixel_format.is_color else (height, width)]

"""Runs a frame on the GPU: upload, crop, network, graph layer and download as one CUDA graph.

An instance belongs to one thread, as do its stream, buffers, execution contexts and graphs.
"""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from faceaffect.backends.backend import HeadOutputs
from faceaffect.bundle.model_spec import HEADS, CropSpec
from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels import GcnWeights
from faceaffect.types import FloatArray, Frame, PixelFormat

_ALIGN: Final[int] = 256
_MIN_UPLOAD_BYTES: Final[int] = 4 * 1024 * 1024
"""Holds the faces of most frames: growing the buffers drops all graphs."""
_RETRY_AFTER_FRAMES: Final = (1, 10, 100)
"""Plain runs before each further attempt at a failed capture."""
_GRID: Final = "appearance_grid"
_GRID_SHAPE: Final[tuple[int, ...]] = (3, 12, 12)
log = logging.getLogger("faceaffect")


class CudaNetwork(Protocol):
    """An engine as `CudaFrameRunner` uses it; shapes are per face."""

    crop_typestr: str
    """Type of the input: `<f4` or `<f2`."""
    output_shapes: dict[str, tuple[int, ...]]
    """Shapes of the outputs, all float32."""

    def bind(self, faces: int, addresses: dict[str, int]) -> None:
        """Set the addresses of input and outputs for a batch size; called once for each."""
        ...

    def enqueue(self, faces: int, stream: int) -> None:
        """Queue a run of a batch size that was bound."""
        ...


@dataclass(frozen=True, slots=True)
class _OutputSlice:
    """Position of an output in the block that is downloaded."""

    offset: int
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return 4 * math.prod(self.shape)


def batch_sizes(max_faces: int) -> tuple[int, ...]:
    """Powers of two up to the first that is at least `max_faces`."""
    sizes = [1]
    while sizes[-1] < max_faces:
        sizes.append(2 * sizes[-1])
    return tuple(sizes)


FrameFaces = tuple[Frame | DeviceFrame, FloatArray]
"""A frame and the transforms of its faces, from crop to frame pixels [N, 2, 3]."""


def split_faces(frames: Sequence[FrameFaces], most: int) -> Iterator[list[FrameFaces]]:
    """Distribute the faces over lists of at most `most` faces, in their order."""
    part: list[FrameFaces] = []
    free = most
    for frame, transforms in frames:
        rest = transforms
        while len(rest):
            part.append((frame, rest[:free]))
            taken = len(part[-1][1])
            rest, free = rest[taken:], free - taken
            if free == 0:
                yield part
                part, free = [], most
    if part:
        yield part


class CudaFrameRunner:
    """Crops the faces of frames and runs network and graph layer on them.

    A run of n faces is padded to the next of `batch_sizes`. Each batch size is run and captured as
    a CUDA graph when the runner is made, so that every frame replays a graph; only the upload,
    whose size varies, is queued before it. A capture that fails is tried again a few times, since
    another thread or library may have caused that; meanwhile plain launches are used.
    """

    uses_cuda_graphs = True
    """False disables CUDA graphs; for benchmarks."""

    def __init__(
        self,
        cuda: Any,
        network: CudaNetwork,
        graph: GcnWeights,
        crop: CropSpec,
        sizes: tuple[int, ...] | int,
        *,
        zero_copy: bool = False,
    ) -> None:
        """Allocate all buffers, bind the network and capture the graphs.

        Args:
            cuda: The native module `faceaffect.kernels._native`.
            network: The network.
            graph: Weights of the graph layer.
            crop: Preprocessing.
            sizes: Batch sizes, ascending, or the largest of `batch_sizes`.
            zero_copy: Let the GPU read pixels from and write results to pinned host memory, for
                GPUs that share the host's memory.
        """
        self._cuda = cuda
        self._network = network
        self._crop = crop
        self._zero_copy = zero_copy
        self._batch_sizes = batch_sizes(sizes) if isinstance(sizes, int) else sizes
        self._widths = list(graph.packed.widths)
        self._stream = cuda.Stream()
        weights = graph.packed.flat()
        self._weights = cuda.DeviceBuffer(weights.nbytes).view(list(weights.shape), "<f4")
        cuda.copy_bytes(self._weights.address, weights.ctypes.data, weights.nbytes, self._stream)
        self._stream.synchronize()
        max_batch = self._batch_sizes[-1]
        item_bytes = 2 if network.crop_typestr == "<f2" else 4
        self._crops = cuda.DeviceBuffer(max_batch * 3 * crop.size_px * crop.size_px * item_bytes)
        self._shapes = network.output_shapes | {"au_logit": (12,), _GRID: _GRID_SHAPE}
        self._outputs = {size: self._output_layout(size) for size in self._batch_sizes}
        nbytes = max(size for _, size in self._outputs.values())
        self._out_host = cuda.PinnedBuffer(nbytes)
        self._out = self._out_host if zero_copy else cuda.DeviceBuffer(nbytes)
        self._out_bytes = self._out_host.bytes()
        for size, (outputs, _) in self._outputs.items():
            addresses = {
                name: self._out.address + outputs[name].offset for name in network.output_shapes
            }
            network.bind(size, addresses | {"crops": self._crops.address})
        self._launched: set[int] = set()
        self._graphs: dict[int, Any] = {}
        self._frames_until_retry: dict[int, list[int]] = {}
        self.uncaptured: dict[int, str] = {}
        """Reason why a batch size uses plain launches at the moment."""
        self._allocate_upload(_MIN_UPLOAD_BYTES)
        self._capture_all()

    def _capture_all(self) -> None:
        """Run and capture each batch size."""
        gray = Frame(np.full((32, 32), 128, np.uint8), PixelFormat.GRAY)
        identity = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
        for size in self._batch_sizes:
            for _ in range(2):  # plain launches, then the capture
                self._run_batch([(gray, np.repeat(identity, size, axis=0))])

    @property
    def cuda_stream(self) -> int:
        """Handle of the stream on which everything runs."""
        return int(self._stream.handle)

    def run(
        self, frame: Frame | DeviceFrame, crop_to_frame: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        """Crop the faces of a frame and run the network.

        Args:
            frame: The image, in host or GPU memory.
            crop_to_frame: Transforms from crop to frame pixels [N, 2, 3].

        Returns:
            The head outputs with `au_logit`, and `appearance.sample_grid` of the crops.
        """
        return self.run_frames([(frame, crop_to_frame)])

    def run_frames(self, frames: Sequence[FrameFaces]) -> tuple[HeadOutputs, FloatArray]:
        """Crop the faces of several frames and run the network once on all of them.

        More faces than the largest batch take several runs.

        Args:
            frames: The frames, each in host or GPU memory and with 1 face or more.

        Returns:
            As `run`, the rows of one frame after those of another.
        """
        batches = [self._run_batch(part) for part in split_faces(frames, self._batch_sizes[-1])]
        if len(batches) == 1:
            return batches[0]
        names = batches[0][0]
        heads = {name: np.concatenate([batch[0][name] for batch in batches]) for name in names}
        return heads, np.concatenate([batch[1] for batch in batches])

    def _run_batch(self, frames: Sequence[FrameFaces]) -> tuple[HeadOutputs, FloatArray]:
        count = sum(len(transforms) for _, transforms in frames)
        batch_size = next(size for size in self._batch_sizes if size >= count)
        upload_bytes = self._pack_upload(frames, batch_size)
        try:
            if not self._zero_copy:
                self._cuda.copy_bytes(
                    self._block.address, self._block_host.address, upload_bytes, self._stream
                )
            self._launch(batch_size)
        except BaseException:
            # Launches queued before the error still read the buffers that the next run fills.
            with suppress(self._cuda.CudaError):
                self._stream.synchronize()
            raise
        self._stream.synchronize()
        return self._read_results(batch_size, count)

    def _launch(self, batch_size: int) -> None:
        """Queue everything after the upload, as a CUDA graph if there is one."""
        graph = self._graphs.get(batch_size)
        if not self.uses_cuda_graphs:
            self._queue(batch_size)
        elif graph is not None:
            graph.launch(self._stream)
        elif batch_size in self._launched and self._may_capture(batch_size):
            self._capture(batch_size)
        else:
            # First a run with plain launches, in which libraries allocate memory: that is not
            # allowed in a capture.
            self._queue(batch_size)
            self._launched.add(batch_size)

    def _may_capture(self, batch_size: int) -> bool:
        """Whether no capture failed, or the next attempt is due."""
        if batch_size not in self.uncaptured:
            return True
        waits = self._frames_until_retry[batch_size]
        if not waits:
            return False
        waits[0] -= 1
        return waits[0] < 0

    def _capture(self, batch_size: int) -> None:
        stream = self._stream
        collects = gc.isenabled()
        gc.disable()  # finalizers may make calls that a capture does not allow
        try:
            stream.begin_capture()
            try:
                self._queue(batch_size)
            except BaseException:
                stream.abandon_capture()
                raise
            self._graphs[batch_size] = stream.end_capture()
        except (self._cuda.CudaError, RuntimeError) as error:
            self._note_failed_capture(batch_size, str(error))
            self._queue(batch_size)
        else:
            self.uncaptured.pop(batch_size, None)
            self._graphs[batch_size].launch(stream)
        finally:
            if collects:
                gc.enable()

    def _note_failed_capture(self, batch_size: int, reason: str) -> None:
        if batch_size in self.uncaptured:
            self._frames_until_retry[batch_size].pop(0)
        else:
            self._frames_until_retry[batch_size] = list(_RETRY_AFTER_FRAMES)
            log.warning(
                "faceaffect: no CUDA graph for %d faces, continuing with plain launches: %s",
                batch_size,
                reason,
            )
        self.uncaptured[batch_size] = reason

    def _queue(self, batch_size: int) -> None:
        """Queue one run after its upload; every call returns at once."""
        cuda, stream, crop = self._cuda, self._stream, self._crop
        outputs, out_bytes = self._outputs[batch_size]
        shape = [batch_size, 3, crop.size_px, crop.size_px]
        crops = self._crops.view(shape, self._network.crop_typestr)
        cuda.crop_jobs_cuda(self._jobs(), crop.mean, crop.std, crops, stream)
        self._network.enqueue(batch_size, stream.handle)
        nodes, logits = self._view(outputs["au_nodes"]), self._view(outputs["au_logit"])
        cuda.au_gcn_cuda(nodes, self._weights, self._widths, logits, stream)
        cuda.appearance_grid_cuda(crops, self._view(outputs[_GRID]), stream)
        if not self._zero_copy:
            cuda.copy_bytes(self._out_host.address, self._out.address, out_bytes, stream)

    def _jobs(self) -> Any:
        """The block with the jobs, as an array for the crop kernel."""
        return (
            self._block.bytes()
            if self._zero_copy
            else self._block.view([self._block.nbytes], "|u1")
        )

    def _view(self, output: _OutputSlice) -> Any:
        if self._zero_copy:
            return np.ndarray(output.shape, np.float32, self._out_bytes, output.offset)
        return self._out.view(list(output.shape), "<f4", output.offset)

    def _pack_upload(self, frames: Sequence[FrameFaces], batch_size: int) -> int:
        """Pack the visible parts of the frames for the upload; returns the bytes to upload."""
        while True:
            if len(frames) == 1:
                needed = self._pack_frame(frames[0], batch_size, 0)
            else:
                needed = self._pack_frames(frames, batch_size)
            if needed <= self._block_host.nbytes:
                return needed
            self._allocate_upload(1 << (needed - 1).bit_length())

    def _pack_frames(self, frames: Sequence[FrameFaces], batch_size: int) -> int:
        """Pack the jobs of all frames, then those and the pixels of each; returns bytes needed.

        A frame is packed with its jobs before its pixels; the kernel reads all jobs in one row.
        """
        job_bytes: int = self._cuda.face_job_bytes
        end = -(-batch_size * job_bytes // _ALIGN) * _ALIGN
        begins = []
        for one in frames:
            begins.append(end)
            end += self._pack_frame(one, len(one[1]), end)
        if end <= self._block_host.nbytes:
            block = self._block_host.bytes()
            jobs = block[: batch_size * job_bytes].reshape(batch_size, job_bytes)
            row = 0
            for begin, (_, transforms) in zip(begins, frames, strict=True):
                own = block[begin : begin + len(transforms) * job_bytes]
                jobs[row : row + len(transforms)] = own.reshape(-1, job_bytes)
                row += len(transforms)
            jobs[row:] = jobs[row - 1]
        return end

    def _pack_frame(self, faces: FrameFaces, slots: int, offset: int) -> int:
        """Pack a frame from `offset` in the block; returns the bytes needed from there."""
        frame, crop_to_frame = faces
        block = self._block_host
        target = (
            crop_to_frame,
            slots,
            self._crop.size_px,
            block.address + offset,
            self._block.address + offset,
            max(0, block.nbytes - offset),
        )
        color = frame.color.coefficients
        needed: int
        if isinstance(frame, DeviceFrame):
            needed = self._cuda.pack_device_upload(
                frame.gpu, frame.pixel_format.value, *target, self._stream, color
            )
        else:
            needed = self._cuda.pack_upload(frame.planes, frame.pixel_format.value, *target, color)
        return needed

    def _allocate_upload(self, nbytes: int) -> None:
        """Replace both upload buffers, or neither if memory is short.

        Graphs hold the addresses of the old buffers and are dropped.
        """
        pinned = self._cuda.PinnedBuffer(nbytes)
        on_gpu = pinned if self._zero_copy else self._cuda.DeviceBuffer(nbytes)
        self._graphs.clear()
        self._block_host, self._block = pinned, on_gpu

    def _output_layout(self, batch_size: int) -> tuple[dict[str, _OutputSlice], int]:
        """Position of each output of a run, and the size of all of them in bytes."""
        outputs = {}
        offset = 0
        for name, shape in self._shapes.items():
            outputs[name] = _OutputSlice(offset, (batch_size, *shape))
            offset += -(-outputs[name].nbytes // _ALIGN) * _ALIGN
        return outputs, offset

    def _read_results(self, batch_size: int, count: int) -> tuple[HeadOutputs, FloatArray]:
        """Copy the results of `count` faces at once: the next run overwrites the buffers."""
        outputs, nbytes = self._outputs[batch_size]
        block = self._out_bytes[:nbytes].copy()
        values: dict[str, FloatArray] = {
            name: np.ndarray((count, *output.shape[1:]), np.float32, block, output.offset)
            for name, output in outputs.items()
        }
        grid = values.pop(_GRID)
        return {name: values[name] for name in (*HEADS, "au_logit")}, grid

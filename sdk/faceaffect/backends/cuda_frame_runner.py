"""Runs a frame on the GPU: upload, crop, network, graph layer and download as one CUDA graph.

An instance belongs to one thread, as do its stream, buffers, execution contexts and graphs.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from faceaffect.backends.backend import HeadOutputs
from faceaffect.bundle.model_spec import HEADS, CropSpec
from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels import GcnWeights
from faceaffect.types import FloatArray, Frame

_ALIGN: Final[int] = 256
_MIN_UPLOAD_BYTES: Final[int] = 64 * 1024
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


class CudaFrameRunner:
    """Crops the faces of a frame and runs network and graph layer on them.

    A run of n faces is padded to the next of `batch_sizes`. The first run of a (batch size,
    upload size) uses plain launches, the second is captured as a CUDA graph, later ones replay
    the graph. If the capture fails, plain launches are used for good, with one warning.
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
    ) -> None:
        """Allocate all buffers and bind the network.

        Args:
            cuda: The native module `faceaffect.kernels._native`.
            network: The network.
            graph: Weights of the graph layer.
            crop: Preprocessing.
            sizes: Batch sizes, ascending, or the largest of `batch_sizes`.
        """
        self._cuda = cuda
        self._network = network
        self._crop = crop
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
        self._out = cuda.DeviceBuffer(nbytes)
        self._out_host = cuda.PinnedBuffer(nbytes)
        self._out_bytes = self._out_host.bytes()
        for size, (outputs, _) in self._outputs.items():
            addresses = {
                name: self._out.address + outputs[name].offset for name in network.output_shapes
            }
            network.bind(size, addresses | {"crops": self._crops.address})
        self._launched: set[tuple[int, int]] = set()
        self._graphs: dict[tuple[int, int], Any] = {}
        self.uncaptured: dict[tuple[int, int], str] = {}
        """Reason why a (batch size, upload size) uses plain launches for good."""
        self._allocate_upload(_MIN_UPLOAD_BYTES)

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
        max_batch = self._batch_sizes[-1]
        if len(crop_to_frame) <= max_batch:
            return self._run_batch(frame, crop_to_frame)
        batches = [
            self._run_batch(frame, crop_to_frame[begin : begin + max_batch])
            for begin in range(0, len(crop_to_frame), max_batch)
        ]
        names = batches[0][0]
        heads = {name: np.concatenate([batch[0][name] for batch in batches]) for name in names}
        return heads, np.concatenate([batch[1] for batch in batches])

    def _run_batch(
        self, frame: Frame | DeviceFrame, crop_to_frame: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        count = len(crop_to_frame)
        batch_size = next(size for size in self._batch_sizes if size >= count)
        kind = (batch_size, self._pack_upload(frame, crop_to_frame, batch_size))
        try:
            self._launch(kind)
        finally:
            # Even after an error: launches queued before it still read the buffers that the next
            # run fills.
            self._stream.synchronize()
        return self._read_results(batch_size, count)

    def _launch(self, kind: tuple[int, int]) -> None:
        """Queue everything, as a CUDA graph if there is one."""
        captured = self._graphs.get(kind)
        if captured is not None:
            captured.launch(self._stream)
        elif kind not in self._launched or kind in self.uncaptured or not self.uses_cuda_graphs:
            # First a run with plain launches, in which libraries allocate memory: that is not
            # allowed in a capture.
            self._queue(*kind)
            self._launched.add(kind)
        else:
            self._capture(kind)

    def _capture(self, kind: tuple[int, int]) -> None:
        stream = self._stream
        try:
            stream.begin_capture()
            try:
                self._queue(*kind)
            except BaseException:
                stream.abandon_capture()
                raise
            self._graphs[kind] = stream.end_capture()
        except (self._cuda.CudaError, RuntimeError) as error:
            self.uncaptured[kind] = str(error)
            log.warning(
                "faceaffect: no CUDA graph for %d faces, continuing with plain launches: %s",
                kind[0],
                error,
            )
            self._queue(*kind)
        else:
            self._graphs[kind].launch(stream)

    def _queue(self, batch_size: int, upload_bytes: int) -> None:
        """Queue one run; every call returns at once."""
        cuda, stream, crop = self._cuda, self._stream, self._crop
        outputs, out_bytes = self._outputs[batch_size]
        cuda.copy_bytes(self._block.address, self._block_host.address, upload_bytes, stream)
        jobs = self._block.view([self._block.nbytes], "|u1")
        shape = [batch_size, 3, crop.size_px, crop.size_px]
        crops = self._crops.view(shape, self._network.crop_typestr)
        cuda.crop_jobs_cuda(jobs, crop.mean, crop.std, crops, stream)
        self._network.enqueue(batch_size, stream.handle)
        nodes, logits = self._view(outputs["au_nodes"]), self._view(outputs["au_logit"])
        cuda.au_gcn_cuda(nodes, self._weights, self._widths, logits, stream)
        cuda.appearance_grid_cuda(crops, self._view(outputs[_GRID]), stream)
        cuda.copy_bytes(self._out_host.address, self._out.address, out_bytes, stream)

    def _view(self, output: _OutputSlice) -> Any:
        return self._out.view(list(output.shape), "<f4", output.offset)

    def _pack_upload(
        self, frame: Frame | DeviceFrame, crop_to_frame: FloatArray, batch_size: int
    ) -> int:
        """Pack the visible part of the frame for the upload.

        Returns:
            Bytes to upload, rounded up so that there are few different sizes.
        """
        while True:
            block = self._block_host
            target = (
                crop_to_frame,
                batch_size,
                self._crop.size_px,
                block.address,
                self._block.address,
                block.nbytes,
            )
            if isinstance(frame, DeviceFrame):
                needed: int = self._cuda.pack_device_upload(
                    frame.gpu, frame.pixel_format.value, *target, self._stream
                )
            else:
                needed = self._cuda.pack_upload(frame.pixels, frame.pixel_format.value, *target)
            if needed <= block.nbytes:
                return min(_upload_size(needed), int(block.nbytes))
            self._allocate_upload(_upload_size(needed))

    def _allocate_upload(self, nbytes: int) -> None:
        """Replace both upload buffers, or neither if memory is short.

        Graphs hold the addresses of the old buffers and are dropped.
        """
        pinned, on_gpu = self._cuda.PinnedBuffer(nbytes), self._cuda.DeviceBuffer(nbytes)
        self._graphs.clear()
        self._launched.clear()
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
        """Copy the results of `count` faces: the next run overwrites the buffers."""
        outputs, _ = self._outputs[batch_size]
        values = {}
        for name, output in outputs.items():
            raw = self._out_bytes[output.offset : output.offset + output.nbytes]
            values[name] = raw.view(np.float32).reshape(output.shape)[:count].copy()
        grid = values.pop(_GRID)
        return {name: values[name] for name in (*HEADS, "au_logit")}, grid


def _upload_size(needed: int) -> int:
    """The next power of two: at most twice the bytes, and only a few graphs."""
    return max(_MIN_UPLOAD_BYTES, 1 << (needed - 1).bit_length())

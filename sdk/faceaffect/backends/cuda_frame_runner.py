"""From a frame to read faces on the GPU: upload, crop, network, graph layer, download, queued as
one CUDA graph.

One instance belongs to one thread: its stream, buffers, execution contexts and graphs are nobody
else's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from faceaffect.backends import HeadOutputs
from faceaffect.bundle.model_spec import HEADS, CropSpec
from faceaffect.device_frame import DeviceFrame
from faceaffect.kernels import GcnWeights
from faceaffect.types import FloatArray, Frame

_ALIGN: Final[int] = 256
_LEAST_UPLOAD: Final[int] = 64 * 1024
_PORTRAIT_SHAPE: Final[tuple[int, ...]] = (3, 12, 12)
log = logging.getLogger("faceaffect")


class CudaNetwork(Protocol):
    """An engine as the path uses it. Shapes are per face; `bind` is called once per number of
    faces.
    """

    crop_typestr: str  # of its input: <f4 or <f2
    output_shapes: dict[str, tuple[int, ...]]  # float32 each

    def bind(self, faces: int, addresses: dict[str, int]) -> None:
        """Tell where input and outputs of a run with `faces` faces lie."""
        ...

    def enqueue(self, faces: int, stream: int) -> None:
        """Queue a run on what was bound for `faces`."""
        ...


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an output of one run lies in the block that is downloaded."""

    offset: int
    shape: tuple[int, ...]


def batch_sizes(max_faces: int) -> tuple[int, ...]:
    """Numbers of faces that runs are made for: powers of two up to what holds `max_faces`."""
    counts = [1]
    while counts[-1] < max_faces:
        counts.append(2 * counts[-1])
    return tuple(counts)


class CudaFrameRunner:
    """Reads faces with `cuda`, the native module. A run of n faces is padded to the next of
    `batch_sizes`.

    The second run of a kind (number of slots, size of the upload) is captured as a CUDA graph
    and replayed from then on; a kind that cannot be captured goes on with plain launches and is
    told once.
    """

    captures = True
    """False runs plain launches only; for comparison."""

    def __init__(
        self,
        cuda: Any,
        network: CudaNetwork,
        graph: GcnWeights,
        crop: CropSpec,
        slots: tuple[int, ...] | int,
    ) -> None:
        """`slots` are the numbers of faces that runs are made for, ascending, or the most faces of
        one run.
        """
        self._cuda, self._network, self._crop = cuda, network, crop
        self._slots = batch_sizes(slots) if isinstance(slots, int) else slots
        self._widths = list(graph.packed.widths)
        self._stream = cuda.Stream()
        weights = graph.packed.flat()
        self._weights = self._new_array(weights.shape, "<f4")
        cuda.copy_bytes(self._weights.address, weights.ctypes.data, weights.nbytes, self._stream)
        self._stream.synchronize()
        most, side = self._slots[-1], crop.size_px
        item = 2 if network.crop_typestr == "<f2" else 4
        self._crops = cuda.DeviceBuffer(most * 3 * side * side * item)
        self._shapes = network.output_shapes | {"au_logit": (12,), "portrait_grid": _PORTRAIT_SHAPE}
        self._places = {slots: self._layout(slots) for slots in self._slots}
        nbytes = max(size for _, size in self._places.values())
        self._out = cuda.DeviceBuffer(nbytes)
        self._out_host = cuda.PinnedBuffer(nbytes)
        self._out_bytes = self._out_host.bytes()
        for slots in self._slots:
            places, _ = self._places[slots]
            addresses = {
                name: self._out.address + places[name].offset for name in network.output_shapes
            }
            network.bind(slots, addresses | {"crops": self._crops.address})
        self._seen: set[tuple[int, int]] = set()
        self._graphs: dict[tuple[int, int], Any] = {}
        self.uncaptured: dict[
            tuple[int, int], str
        ] = {}  # kinds that run as plain launches for good, and why
        self._make_upload(_LEAST_UPLOAD)

    @property
    def cuda_stream(self) -> int:
        """Handle of the stream on which everything runs."""
        return int(self._stream.handle)

    def read(
        self, frame: Frame | DeviceFrame, crop_maps: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        """Heads and `au_logit` of the crops that maps [N, 2, 3] cut out of a frame, and
        `portrait.sample_grid` of them.
        """
        most = self._slots[-1]
        if len(crop_maps) <= most:
            return self._read_some(frame, crop_maps)
        parts = [
            self._read_some(frame, crop_maps[at : at + most])
            for at in range(0, len(crop_maps), most)
        ]
        heads = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
        return heads, np.concatenate([part[1] for part in parts])

    def _read_some(
        self, frame: Frame | DeviceFrame, crop_maps: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        count = len(crop_maps)
        slots = next(slots for slots in self._slots if slots >= count)
        kind = (slots, self._stage(frame, crop_maps, slots))
        try:
            self._run(kind)
        # also where a call failed: what was queued before it still reads the buffers that the next
        # run fills
        finally:
            self._stream.synchronize()
        return self._results(slots, count)

    def _run(self, kind: tuple[int, int]) -> None:
        """Queue everything, as a graph where there is one."""
        captured = self._graphs.get(kind)
        if captured is not None:
            captured.launch(self._stream)
        elif kind not in self._seen or kind in self.uncaptured or not self.captures:
            # A first run as plain launches: libraries allocate in it what a capture must not.
            self._queue(*kind)
            self._seen.add(kind)
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
                "faceaffect: no CUDA graph for %d faces, going on with plain launches: %s",
                kind[0],
                error,
            )
            self._queue(*kind)
        else:
            self._graphs[kind].launch(stream)

    def _queue(self, slots: int, upload_bytes: int) -> None:
        """One run: every call returns at once."""
        cuda, stream, crop = self._cuda, self._stream, self._crop
        side, (places, out_bytes) = crop.size_px, self._places[slots]
        cuda.copy_bytes(self._block.address, self._block_host.address, upload_bytes, stream)
        jobs = self._block.view([self._block.nbytes], "|u1")
        crops = self._crops.view([slots, 3, side, side], self._network.crop_typestr)
        cuda.crop_jobs_cuda(jobs, crop.mean, crop.std, crops, stream)
        self._network.enqueue(slots, stream.handle)
        nodes, logits = self._view(places["au_nodes"]), self._view(places["au_logit"])
        cuda.au_gcn_cuda(nodes, self._weights, self._widths, logits, stream)
        cuda.appearance_grid_cuda(crops, self._view(places["portrait_grid"]), stream)
        cuda.copy_bytes(self._out_host.address, self._out.address, out_bytes, stream)

    def _view(self, place: _Place) -> Any:
        return self._out.view(list(place.shape), "<f4", place.offset)

    def _stage(self, frame: Frame | DeviceFrame, crop_maps: FloatArray, slots: int) -> int:
        """Lay the frame's part out for the upload; how many bytes travel, rounded so that few kinds
        arise.
        """
        while True:
            block = self._block_host
            where = (
                crop_maps,
                slots,
                self._crop.size_px,
                block.address,
                self._block.address,
                block.nbytes,
            )
            if isinstance(frame, DeviceFrame):
                needed: int = self._cuda.stage_gpu_frame(
                    frame.gpu, frame.layout.value, *where, self._stream
                )
            else:
                needed = self._cuda.stage_frame(frame.pixels, frame.layout.value, *where)
            if needed <= block.nbytes:
                return min(_upload_size(needed), int(block.nbytes))
            self._make_upload(_upload_size(needed))

    def _make_upload(self, nbytes: int) -> None:
        """New, larger buffers, both or none; graphs hold the addresses of the old ones and go with
        them.
        """
        pinned, on_gpu = self._cuda.PinnedBuffer(nbytes), self._cuda.DeviceBuffer(nbytes)
        self._graphs.clear()
        self._seen.clear()
        self._block_host, self._block = pinned, on_gpu

    def _layout(self, slots: int) -> tuple[dict[str, _Place], int]:
        """Where each output of a run lies, and how many bytes all of them take."""
        places, offset = {}, 0
        for name, shape in self._shapes.items():
            places[name] = _Place(offset, (slots, *shape))
            offset += -(-4 * slots * _product(shape) // _ALIGN) * _ALIGN
        return places, offset

    def _results(self, slots: int, count: int) -> tuple[HeadOutputs, FloatArray]:
        """Copies: the buffers are written again by the next run."""
        places, _ = self._places[slots]
        values = {}
        for name, place in places.items():
            nbytes = 4 * _product(place.shape)
            whole = (
                self._out_bytes[place.offset : place.offset + nbytes]
                .view(np.float32)
                .reshape(place.shape)
            )
            values[name] = whole[:count].copy()
        grid = values.pop("portrait_grid")
        return {name: values[name] for name in (*HEADS, "au_logit")}, grid

    def _new_array(self, shape: Sequence[int], typestr: str) -> Any:
        return self._cuda.DeviceBuffer(4 * _product(shape)).view(list(shape), typestr)


def _upload_size(needed: int) -> int:
    """The next power of two: at most twice the bytes, and a handful of graphs."""
    return max(_LEAST_UPLOAD, 1 << (needed - 1).bit_length())


def _product(shape: Sequence[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count

"""Image kernels on NVIDIA GPUs, on arrays of torch, CuPy, PyCUDA, Numba or `DeviceBuffer.view`.

Nothing is copied. An array is anything with `__cuda_array_interface__` or DLPack on a GPU; a NumPy
array counts if its memory is pinned (`PinnedBuffer.bytes()`), and is read over the bus. `stream` is
a handle or a stream of any of those libraries, None the default stream. Calls return once the work
is queued: keep the arrays until the stream has done it. The kernels run in the thread's current
CUDA context, so users of PyCUDA use theirs. Every function may be called from several threads
at once.

Errors: `ValueError` for an array that does not fit, `CudaError` (a RuntimeError) that names
cause and remedy for a failed CUDA call, `ImportError` if the native module was built without
CUDA.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from faceaffect.kernels.gcn_weights import GcnWeights
from faceaffect.kernels.native import native
from faceaffect.types import PixelFormat, YuvColor

if native is None or not native.has_cuda:
    raise ImportError(
        "faceaffect.kernels.cuda needs the native module with its CUDA kernels; "
        "install the CUDA toolkit (nvcc) and build faceaffect again with FACEAFFECT_CUDA=ON"
    )

_native: Any = native

if TYPE_CHECKING:
    from faceaffect.kernels._native import (
        BufferView,
        CudaError,
        CudaGraph,
        DeviceBuffer,
        Event,
        PinnedBuffer,
        Stream,
    )
else:
    BufferView = native.BufferView
    CudaError = native.CudaError
    CudaGraph = native.CudaGraph
    DeviceBuffer = native.DeviceBuffer
    Event = native.Event
    PinnedBuffer = native.PinnedBuffer
    Stream = native.Stream

__all__ = [
    "BufferView",
    "CudaError",
    "CudaGraph",
    "DeviceBuffer",
    "Event",
    "PinnedBuffer",
    "Stream",
    "appearance_grid",
    "au_gcn",
    "crop_face",
    "device_array",
    "gcn_weights_on_device",
    "normalize",
]

ITEM_BYTES: Final[dict[str, int]] = {"<f4": 4, "<f2": 2, "|u1": 1, "<i4": 4, "<i8": 8}


def device_array(shape: Sequence[int], typestr: str = "<f4") -> BufferView:
    """Allocate an uninitialized array on the GPU; `typestr` is a key of `ITEM_BYTES`."""
    count = ITEM_BYTES[typestr]
    for side in shape:
        count *= side
    return DeviceBuffer(count).view(list(shape), typestr)


def crop_face(
    frame: Any,
    pixel_format: PixelFormat,
    crop_to_frame: Any,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    size_px: int | None = None,
    out: Any = None,
    stream: Any = None,
    color: YuvColor = YuvColor.BT601,
) -> Any:
    """Run `faceaffect.kernels.crop_face` on the GPU.

    Args:
        frame: uint8 with the shape of `Frame.pixels`, or for NV12 a tuple of luma [H, W] and chroma
            [H / 2, W / 2, 2] whose rows may be padded differently, for I420 (Y, U, V).
        pixel_format: Pixel format of `frame`.
        crop_to_frame: float32 [N, 2, 3].
        mean: Of each RGB channel.
        std: Of each RGB channel.
        size_px: Side of the crops if `out` is None.
        out: float32 or float16 [N, 3, S, S]; by default a new float32 array.
        stream: CUDA stream.
        color: Color matrix and range of a NV12 or I420 frame.
    """
    if out is None:
        if size_px is None:
            raise ValueError("crop_face on the GPU needs out or size_px, got neither")
        out = device_array([_length(crop_to_frame), 3, size_px, size_px])
    _native.crop_face_cuda(
        frame, pixel_format, crop_to_frame, mean, std, out, stream, color.coefficients
    )
    return out


def normalize(
    pixels: Any, mean: Sequence[float], std: Sequence[float], out: Any = None, stream: Any = None
) -> Any:
    """Normalize uint8 [N, H, W, 3] on the GPU to float32 or float16 [N, 3, H, W]."""
    if out is None:
        count, height, width, _ = pixels.shape
        out = device_array([count, 3, height, width])
    _native.normalize_cuda(pixels, mean, std, out, stream)
    return out


def gcn_weights_on_device(
    weights: GcnWeights, typestr: str = "<f4", stream: Any = None
) -> BufferView:
    """Upload the weights for `au_gcn`, in the type of the nodes (`<f4` or `<f2`)."""
    flat = weights.packed.flat().astype(typestr)
    array = device_array(flat.shape, typestr)
    _native.copy_bytes(array.address, flat.ctypes.data, flat.nbytes, stream)
    uploaded = Event()
    uploaded.record(stream)
    uploaded.synchronize()  # other streams do not wait for it, and `flat` ends here
    return array


def au_gcn(
    nodes: Any, weights: Any, widths: Sequence[int], out: Any = None, stream: Any = None
) -> Any:
    """Logits float32 [N, 12] of nodes [N, 12, D], all layers in one launch.

    `weights` are those of `gcn_weights_on_device`, in the nodes' type; `widths` are
    `GcnWeights.packed.widths`.
    """
    if out is None:
        out = device_array([_length(nodes), 12])
    _native.au_gcn_cuda(nodes, weights, list(widths), out, stream)
    return out


def appearance_grid(crops: Any, out: Any = None, stream: Any = None) -> Any:
    """Run `reference_face_ops.sample_grid` on the GPU: float32 [N, 3, 12, 12]."""
    if out is None:
        out = device_array([_length(crops), 3, 12, 12])
    _native.appearance_grid_cuda(crops, out, stream)
    return out


def _length(array: Any) -> int:
    return int(array.shape[0])

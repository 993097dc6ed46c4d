"""The crop as CV-CUDA does it: warp, color order, float, normalize, planes; for comparison with the
crop kernel.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.part import NotRunError, Session, require_torch
from benchmarks.kernel_cases import MEAN, STD, TIMED_CROPS
from faceaffect.kernels import reference
from faceaffect.types import FloatArray, Frame, PixelFormat

# of normalized values, on average: CV-CUDA rounds the warped image to 8 bits, and an edge pixel may
# differ more
SAME = 0.05


def time_cvcuda(session: Session) -> list[str]:
    """One face of a BGR frame that lies on the GPU, as `bench_kernels.torch_crop` times it."""
    try:
        cvcuda = importlib.import_module("cvcuda")
    except ImportError as error:
        raise NotRunError(f"CV-CUDA is not installed ({error})") from None
    torch = require_torch()
    case = TIMED_CROPS[0]
    arguments = case.make()
    frame, crop_to_frame, side = (
        arguments["frame"],
        arguments["crop_to_frame"][0],
        arguments["size_px"],
    )
    stream = cvcuda.as_stream(torch.cuda.current_stream())
    wanted = reference.crop_face(**arguments)
    step, difference = matching_cropper(
        cvcuda, torch, frame, crop_to_frame, side, wanted, stream=stream, device="cuda"
    )
    for _ in range(30):
        step()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(session.repeats):
        step()
    end.record()
    end.synchronize()
    took_us = start.elapsed_time(end) * 1e3 / session.repeats
    return [
        f"- CV-CUDA {cvcuda.__version__}, {case.name}: {took_us:.1f} us; its crop differs by "
        f"{difference:.3f} on average"
    ]


def matching_cropper(
    cvcuda: Any,
    torch: Any,
    frame: Frame,
    crop_to_frame: FloatArray,
    side: int,
    wanted: FloatArray,
    *,
    stream: Any,
    device: str,
) -> tuple[Callable[[], Any], float]:
    """A cropper whose crop is the `wanted` one, and the average difference; NotRunError where there
    is none.

    Which way a map is read is a matter of CV-CUDA's release, so both are tried: a wrong baseline
    must not be timed.
    """
    inverse = np.linalg.inv(np.vstack([crop_to_frame, [0, 0, 1]]))[:2].astype(np.float32)
    found = []
    for xform in (inverse, np.asarray(crop_to_frame, np.float32)):
        step = _cropper(cvcuda, torch, frame, xform, side, stream=stream, device=device)
        difference = float(np.abs(step().cpu().numpy() - wanted).mean())
        found.append(difference)
        if difference <= SAME:
            return step, difference
    raise NotRunError(
        f"CV-CUDA's crop is another one: it differs by {min(found):.2f} on average, "
        f"{SAME} is allowed"
    )


def _cropper(
    cvcuda: Any, torch: Any, frame: Frame, xform: FloatArray, side: int, *, stream: Any, device: str
) -> Callable[[], Any]:
    if frame.pixel_format is not PixelFormat.BGR:
        raise NotRunError("this baseline crops BGR frames only")

    def tensor(memory: Any, tensor_layout: str = "NHWC") -> Any:
        return cvcuda.as_tensor(memory, tensor_layout)

    def empty(*shape: int, dtype: Any = torch.float32) -> Any:
        return torch.zeros(shape, dtype=dtype, device=device)

    pixels = torch.from_numpy(np.ascontiguousarray(frame.pixels))[None].to(device)
    out = empty(1, 3, side, side)
    source, planes = tensor(pixels), tensor(out, "NCHW")
    warped, rgb = (tensor(empty(1, side, side, 3, dtype=torch.uint8)) for _ in range(2))
    scaled, normal = (tensor(empty(1, side, side, 3)) for _ in range(2))
    base, scale = (
        tensor(torch.tensor(values, device=device).view(1, 1, 1, 3)) for values in (MEAN, STD)
    )
    flags = cvcuda.NormalizeFlags.SCALE_IS_STDDEV

    def step() -> Any:
        border = {"border_mode": cvcuda.Border.CONSTANT, "border_value": [0, 0, 0, 0]}
        cvcuda.warp_affine_into(
            warped, source, xform, flags=cvcuda.Interp.LINEAR, **border, stream=stream
        )
        cvcuda.cvtcolor_into(rgb, warped, cvcuda.ColorConversion.BGR2RGB, stream=stream)
        cvcuda.convertto_into(scaled, rgb, scale=1 / 255, stream=stream)
        cvcuda.normalize_into(normal, scaled, base, scale, flags, stream=stream)
        cvcuda.reformat_into(planes, normal, stream=stream)
        return out

    return step

"""The crop with CV-CUDA (warp, color order, float, normalize, planes), as a baseline."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.part import NotRunError, Session, require_torch
from benchmarks.kernel_cases import MEAN, STD, TIMED_CROPS
from faceaffect.kernels import reference
from faceaffect.types import FloatArray, Frame, PixelFormat

MAX_MEAN_DIFFERENCE = 0.05
"""Of normalized values: CV-CUDA rounds the warped image to 8 bits; edge pixels may differ more."""


def time_cvcuda(session: Session) -> list[str]:
    """Time one face of a BGR frame in GPU memory, as `bench_kernels.torch_crop` does."""
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
    expected = reference.crop_face(**arguments)
    step, difference = matching_cropper(
        cvcuda, torch, frame, crop_to_frame, side, expected, stream=stream, device="cuda"
    )
    for _ in range(30):
        step()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(session.repeats):
        step()
    end.record()
    end.synchronize()
    time_us = start.elapsed_time(end) * 1e3 / session.repeats
    return [
        f"- CV-CUDA {cvcuda.__version__}, {case.name}: {time_us:.1f} us; "
        f"mean difference of the crop {difference:.3f}"
    ]


def matching_cropper(
    cvcuda: Any,
    torch: Any,
    frame: Frame,
    crop_to_frame: FloatArray,
    side: int,
    expected: FloatArray,
    *,
    stream: Any,
    device: str,
) -> tuple[Callable[[], Any], float]:
    """A cropper with the `expected` crop, and its mean difference; NotRunError if there is none.

    The direction of the transform depends on the release of CV-CUDA, so both are tried: a wrong
    baseline must not be timed.
    """
    inverse = np.linalg.inv(np.vstack([crop_to_frame, [0, 0, 1]]))[:2].astype(np.float32)
    differences = []
    for xform in (inverse, np.asarray(crop_to_frame, np.float32)):
        step = _cropper(cvcuda, torch, frame, xform, side, stream=stream, device=device)
        difference = float(np.abs(step().cpu().numpy() - expected).mean())
        differences.append(difference)
        if difference <= MAX_MEAN_DIFFERENCE:
            return step, difference
    raise NotRunError(
        f"expected the crop of the definition within {MAX_MEAN_DIFFERENCE} on average, "
        f"got a difference of {min(differences):.2f} from CV-CUDA"
    )


def _cropper(
    cvcuda: Any, torch: Any, frame: Frame, xform: FloatArray, side: int, *, stream: Any, device: str
) -> Callable[[], Any]:
    if frame.pixel_format is not PixelFormat.BGR:
        raise NotRunError("the baseline supports BGR frames only")

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

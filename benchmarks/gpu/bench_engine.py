"""Engines on a GPU: building, sizes, and whether they say what ONNX Runtime on the CPU and PyTorch
say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.part import NotRunError, Session, require_gpu, require_torch, sub_part
from benchmarks.kernel_cases import frame_of, similarity
from faceaffect import kernels
from faceaffect.backends import HeadOutputs, open_backend
from faceaffect.backends import tensorrt_backend as tensorrt_engine
from faceaffect.backends.build_engine import EngineSettings, build_engine
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner
from faceaffect.backends.tensorrt_compat import find_tensorrt
from faceaffect.bundle.bundle import Bundle, model_bytes
from faceaffect.bundle.model_spec import HEADS, PRECISIONS, CropSpec
from faceaffect.types import FloatArray, Frame, PixelFormat

# Relative to the larger of 1 and the value. From Ampere on TensorRT multiplies float32 with the 10
# bits of TF32.
TOLERANCES = {"fp32": 5e-3, "fp16": 5e-2, "int8": float("inf"), "PyTorch": 2e-3}
REFUSED = "TensorRT refused"


def open_tensorrt(
    session: Session, precision: str = "fp32", max_faces: int = 16
) -> tensorrt_engine.TensorRTBackend:
    """A backend with an engine that was built or cached; NotRunError, at once from the second time
    on, where none runs.
    """
    require_gpu()
    if REFUSED in session.notes:
        raise NotRunError(session.notes[REFUSED])
    try:
        backend = tensorrt_engine.open_engine(
            session.bundle, precision=precision, max_faces=max_faces
        )
        backend.warm_up()
    except Exception as error:
        reason = f"TensorRT does not serve here: {' '.join(str(error).split())}"
        if precision == "fp32":  # then no other part need build an engine in order to learn it
            session.notes[REFUSED] = reason
        raise NotRunError(reason) from None
    return backend


def open_path(
    session: Session, precision: str = "fp32", max_faces: int = 16
) -> tuple[CudaFrameRunner, str]:
    """A path over the best engine that runs on this GPU, and its name; PyTorch stands in where
    TensorRT refuses the GPU.
    """
    cuda = require_gpu()
    try:
        backend = open_tensorrt(session, precision, max_faces)
        return backend.frame_runner, f"{backend.version}, {precision}"
    except NotRunError as error:
        if precision != "fp32":
            raise
        reason = error
    torch, bundle = require_torch(), session.bundle
    from benchmarks.gpu.torch_network import TorchEngine

    crop = bundle.spec.crop
    path = CudaFrameRunner(
        cuda, TorchEngine(bundle.onnx, crop.size_px), bundle.graph, crop, max_faces
    )
    return path, f"PyTorch {torch.__version__} in the engine's place, since {reason}"


class PathBackend:
    """A path as the pipeline wants its backend."""

    name, precision, device = "gpu path", "float32", "cuda:0"

    def __init__(self, path: CudaFrameRunner, version: str, crop: CropSpec) -> None:
        self.version, self._path, self._crop = version, path, crop

    def infer_frame(
        self, frame: Frame, crop_to_frame: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        return self._path.run(frame, crop_to_frame)

    def infer(self, crops: FloatArray) -> HeadOutputs:
        return tensorrt_engine.infer_crops(self.infer_frame, self._crop, crops)


class _Silent:
    def step(self, phase: str, done: int, steps: int | None) -> None: ...


def build_all(session: Session) -> Iterator[str]:
    """Build time and size of every precision that the bundle holds, and whether the GPU takes the
    engine.
    """
    require_gpu()
    reason = tensorrt_engine.unavailable_reason()
    if reason:
        raise NotRunError(reason)
    library, _ = find_tensorrt()
    assert library is not None
    yield from (
        f"- {library}",
        "",
        "| precision | build, s | engine, MB | on this GPU |",
        "|---|---|---|---|",
    )
    for precision in PRECISIONS:

        def build(precision: str = precision) -> list[str]:
            onnx = model_bytes(session.bundle, precision)
            settings = EngineSettings(precision, 8, session.bundle.spec.crop.size_px)
            start = time.perf_counter()
            plan = build_engine(library, onnx, settings, _Silent())
            built = f"| {precision} | {time.perf_counter() - start:.1f} | {len(plan) / 1e6:.1f} |"
            try:
                open_tensorrt(session, precision)
            except NotRunError as error:
                return [f"{built} no: {error} |"]
            return [f"{built} runs |"]

        yield from sub_part(precision, build)


def parity(session: Session) -> Iterator[str]:
    """Heads of the whole path against the CPU path on the same frames, and against PyTorch on the
    same crops.
    """
    require_gpu()
    yield from (
        "| engine | faces | head that differs most | by | allowed | |",
        "|---|---|---|---|---|---|",
    )

    def rows(name: str, path: CudaFrameRunner) -> list[str]:
        found, allowed = [], TOLERANCES[name]
        for count in (1, 3, 8):
            differences = path_differences(session.bundle, path, count)
            head = max(differences, key=lambda key: differences[key])
            verdict = (
                "within" if differences[head] <= allowed else "BEYOND"
            )  # also where it is no number
            found.append(
                f"| {name} | {count} | {head} | {differences[head]:.2e} | {allowed:g} | {verdict} |"
            )
            session.figures[f"parity {name}"] = max(
                session.figures.get(f"parity {name}", 0), differences[head]
            )
        return found

    def rows_of_engine(precision: str) -> list[str]:
        return rows(precision, open_tensorrt(session, precision).frame_runner)

    for precision in PRECISIONS:
        name = f"TensorRT {precision}"
        yield from sub_part(name, partial(rows_of_engine, precision))
    yield from sub_part("path over PyTorch", lambda: rows("PyTorch", torch_path(session.bundle)))
    yield from sub_part("PyTorch", lambda: torch_parity(session))


def torch_path(bundle: Bundle) -> CudaFrameRunner:
    """Our kernels, buffers and graphs around PyTorch, in full float32."""
    cuda, torch = require_gpu(), require_torch()
    from benchmarks.gpu.torch_network import TorchEngine

    torch.backends.cudnn.allow_tf32 = (
        False  # for this process, whose part asks for parity and takes no time
    )
    return CudaFrameRunner(
        cuda, TorchEngine(bundle.onnx, bundle.spec.crop.size_px), bundle.graph, bundle.spec.crop, 8
    )


def path_differences(bundle: Bundle, path: CudaFrameRunner, count: int) -> dict[str, float]:
    """Largest difference of each head, relative to the larger of 1 and the value; three runs reach
    the captured graph.
    """
    crop = bundle.spec.crop
    frame = frame_of(PixelFormat.NV12, 360, 640, seed=count)
    maps = np.concatenate(
        [similarity(crop.size_px, 1.2, 7.0 * i, (60 + 70 * i, 180)) for i in range(count)]
    )
    crops = kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
    wanted = open_backend("onnx", bundle, device="cpu").infer(crops)
    wanted["au_logit"] = kernels.au_gcn(wanted["au_nodes"], bundle.graph)
    worst = dict.fromkeys(wanted, 0.0)
    for _ in range(3):
        got, _ = path.run(frame, maps)
        for name, value in wanted.items():
            scale = np.maximum(np.abs(value), 1)
            worst[name] = max(worst[name], float((np.abs(got[name] - value) / scale).max()))
    return worst


def torch_parity(session: Session) -> list[str]:
    """Compare the reference network with ONNX Runtime: a wrong baseline would flatter us."""
    require_torch()
    return [
        f"- PyTorch on the GPU against ONNX Runtime: {torch_difference(session.bundle, 'cuda'):.2e}"
    ]


def torch_difference(bundle: Bundle, device: str) -> float:
    """Largest relative difference over all heads on two random crops."""
    import torch

    from benchmarks.gpu.torch_network import TorchNetwork

    torch.backends.cudnn.allow_tf32 = False
    side = bundle.spec.crop.size_px
    crops = np.random.default_rng(0).standard_normal((2, 3, side, side)).astype(np.float32)
    wanted: dict[str, Any] = open_backend("onnx", bundle, device="cpu").infer(crops)
    with torch.no_grad():
        got = TorchNetwork(bundle.onnx, device)(torch.from_numpy(crops).to(device))
    pairs = zip(HEADS, got, strict=True)
    return max(
        float((np.abs(v.cpu().numpy() - wanted[n]) / np.maximum(np.abs(wanted[n]), 1)).max())
        for n, v in pairs
    )

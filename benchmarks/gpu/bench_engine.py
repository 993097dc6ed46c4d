"""Engines on a GPU: build time, size, and parity with ONNX Runtime on the CPU and PyTorch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.gpu.part import NotRunError, Session, require_gpu, require_torch, run_section
from benchmarks.kernel_cases import frame_of, similarity
from faceaffect import kernels
from faceaffect.backends import HeadOutputs, open_backend, tensorrt_backend
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
) -> tensorrt_backend.TensorRTBackend:
    """A backend with a new or cached engine; NotRunError if none runs, without a second build."""
    require_gpu()
    if REFUSED in session.notes:
        raise NotRunError(session.notes[REFUSED])
    try:
        backend = tensorrt_backend.open_engine(
            session.bundle, precision=precision, max_faces=max_faces
        )
        backend.warm_up()
    except Exception as error:
        reason = f"no TensorRT engine runs here: {' '.join(str(error).split())}"
        if precision == "fp32":  # so that no other part builds one
            session.notes[REFUSED] = reason
        raise NotRunError(reason) from None
    return backend


def open_runner(
    session: Session, precision: str = "fp32", max_faces: int = 16
) -> tuple[CudaFrameRunner, str]:
    """A frame runner over an engine, and its name; over PyTorch if TensorRT does not run here."""
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
    runner = CudaFrameRunner(
        cuda, TorchEngine(bundle.onnx, crop.size_px), bundle.graph, crop, max_faces
    )
    return runner, f"PyTorch {torch.__version__} instead of an engine: {reason}"


class RunnerBackend:
    """A frame runner as a backend of the pipeline."""

    name, precision, device = "frame runner", "float32", "cuda:0"

    def __init__(self, runner: CudaFrameRunner, version: str, crop: CropSpec) -> None:
        self.version, self._runner, self._crop = version, runner, crop

    def infer_frame(
        self, frame: Frame, crop_to_frame: FloatArray
    ) -> tuple[HeadOutputs, FloatArray]:
        return self._runner.run(frame, crop_to_frame)

    def infer_frames(
        self, frames: Sequence[tuple[Frame, FloatArray]]
    ) -> tuple[HeadOutputs, FloatArray]:
        return self._runner.run_frames(frames)

    def infer(self, crops: FloatArray) -> HeadOutputs:
        return tensorrt_backend.infer_crops(self.infer_frame, self._crop, crops)


class _Silent:
    def step(self, phase: str, done: int, steps: int | None) -> None: ...


def build_engines(session: Session) -> Iterator[str]:
    """Build time and size of the engine of each precision, and whether it runs."""
    require_gpu()
    reason = tensorrt_backend.unavailable_reason()
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
            row = f"| {precision} | {time.perf_counter() - start:.1f} | {len(plan) / 1e6:.1f} |"
            try:
                open_tensorrt(session, precision)
            except NotRunError as error:
                return [f"{row} no: {error} |"]
            return [f"{row} runs |"]

        yield from run_section(precision, build)


PARITY_HEADER = (
    "| engine | faces | head with the largest difference | difference | tolerance | |",
    "|---|---|---|---|---|---|",
)


def engine_parity(session: Session) -> Iterator[str]:
    """Outputs of each engine against the CPU on the same frames."""
    require_gpu()
    yield from PARITY_HEADER

    def rows(precision: str) -> list[str]:
        runner = open_tensorrt(session, precision).frame_runner
        return parity_rows(session, precision, runner)

    for precision in PRECISIONS:
        yield from run_section(f"TensorRT {precision}", partial(rows, precision))


def torch_parity(session: Session) -> Iterator[str]:
    """Kernels, buffers and graphs over PyTorch against the CPU, and PyTorch itself.

    A wrong baseline would make the results look better than they are.
    """
    require_gpu()
    runner = torch_runner(session.bundle)
    yield from PARITY_HEADER
    yield from run_section("runner over PyTorch", lambda: parity_rows(session, "PyTorch", runner))
    yield ""
    yield f"- batch sizes that were not captured: {runner.uncaptured or 'none'}"
    difference = torch_difference(session.bundle, "cuda")
    yield f"- PyTorch on the GPU against ONNX Runtime: {difference:.2e}"


def parity_rows(session: Session, name: str, runner: CudaFrameRunner) -> list[str]:
    """Rows of the parity table for 1, 3 and 8 faces."""
    rows, tolerance = [], TOLERANCES[name]
    for count in (1, 3, 8):
        differences = runner_differences(session.bundle, runner, count)
        head = max(differences, key=lambda key: differences[key])
        largest = differences[head]
        verdict = "within" if largest <= tolerance else "BEYOND"  # NaN is beyond, too
        rows.append(f"| {name} | {count} | {head} | {largest:.2e} | {tolerance:g} | {verdict} |")
        key = f"parity {name}"
        session.metrics[key] = max(session.metrics.get(key, 0), largest)
    return rows


def torch_runner(bundle: Bundle) -> CudaFrameRunner:
    """A frame runner over PyTorch in full float32."""
    cuda, torch = require_gpu(), require_torch()
    from benchmarks.gpu.torch_network import TorchEngine

    torch.backends.cudnn.allow_tf32 = (
        False  # only in this process, which measures parity and no times
    )
    return CudaFrameRunner(
        cuda, TorchEngine(bundle.onnx, bundle.spec.crop.size_px), bundle.graph, bundle.spec.crop, 8
    )


def runner_differences(bundle: Bundle, runner: CudaFrameRunner, count: int) -> dict[str, float]:
    """Largest difference of each head, relative to the larger of 1 and the value.

    The third run replays the captured graph.
    """
    crop = bundle.spec.crop
    frame = frame_of(PixelFormat.NV12, 360, 640, seed=count)
    maps = np.concatenate(
        [similarity(crop.size_px, 1.2, 7.0 * i, (60 + 70 * i, 180)) for i in range(count)]
    )
    crops = kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
    expected = open_backend("onnx", bundle, device="cpu").infer(crops)
    expected["au_logit"] = kernels.au_gcn(expected["au_nodes"], bundle.graph)
    worst = dict.fromkeys(expected, 0.0)
    for _ in range(3):
        actual, _ = runner.run(frame, maps)
        for name, value in expected.items():
            scale = np.maximum(np.abs(value), 1)
            worst[name] = max(worst[name], float((np.abs(actual[name] - value) / scale).max()))
    return worst


def torch_difference(bundle: Bundle, device: str) -> float:
    """Largest relative difference over all heads on two random crops."""
    import torch

    from benchmarks.gpu.torch_network import TorchNetwork

    torch.backends.cudnn.allow_tf32 = False
    side = bundle.spec.crop.size_px
    crops = np.random.default_rng(0).standard_normal((2, 3, side, side)).astype(np.float32)
    expected: dict[str, Any] = open_backend("onnx", bundle, device="cpu").infer(crops)
    with torch.no_grad():
        actual = TorchNetwork(bundle.onnx, device)(torch.from_numpy(crops).to(device))
    pairs = zip(HEADS, actual, strict=True)
    return max(
        float((np.abs(v.cpu().numpy() - expected[n]) / np.maximum(np.abs(expected[n]), 1)).max())
        for n, v in pairs
    )

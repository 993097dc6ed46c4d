"""Engines on a GPU: building, sizes, and whether they say what ONNX Runtime on the CPU and PyTorch say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.part import NotRunError, Session, require_gpu, require_torch, sub_part
from benchmarks.gpu.torch_network import TorchEngine, TorchNetwork
from benchmarks.kernel_cases import frame_of, similarity
from faceaffect import kernels
from faceaffect.backends import Heads, open_backend, tensorrt_engine
from faceaffect.backends.engine_cache import EngineCache
from faceaffect.backends.gpu_path import GpuPath
from faceaffect.bundle import Bundle
from faceaffect.spec import HEADS, PRECISIONS, CropSpec
from faceaffect.types import FloatArray, Frame, Layout

TOLERANCES = {"fp32": 2e-3, "fp16": 5e-2, "int8": float("inf")}


def open_path(bundle: Bundle, max_faces: int = 16) -> tuple[GpuPath, str]:
    """A path over the best engine that runs on this GPU, and its name; falls back where TensorRT refuses the GPU."""
    cuda = require_gpu()
    crop = bundle.spec.crop
    try:
        backend = tensorrt_engine.open_engine(bundle, max_faces=max_faces)
        return backend.path, backend.version
    except Exception as error:
        reason = " ".join(str(error).split())
    torch = require_torch()
    path = GpuPath(cuda, TorchEngine(bundle.onnx, crop.size_px), bundle.graph, crop, max_faces)
    return path, f"PyTorch {torch.__version__} in the engine's place, since TensorRT did not serve: {reason}"


class PathBackend:
    """A path as the pipeline wants its backend."""

    name, precision, device = "gpu path", "float32", "cuda:0"

    def __init__(self, path: GpuPath, version: str, crop: CropSpec) -> None:
        self.version, self._path, self._crop = version, path, crop

    def read_faces(self, frame: Frame, crop_maps: FloatArray) -> tuple[Heads, FloatArray]:
        return self._path.read(frame, crop_maps)

    def infer(self, crops: FloatArray) -> Heads:
        return tensorrt_engine.read_crops(self.read_faces, self._crop, crops)


def build_all(session: Session) -> Iterator[str]:
    """Build time and size of every precision that the bundle holds."""
    require_gpu()
    reason = tensorrt_engine.why_not()
    if reason:
        raise NotRunError(reason)
    import tempfile
    from pathlib import Path

    yield from ("| precision | build, s | engine, MB | TensorRT |", "|---|---|---|---|")
    for precision in PRECISIONS:

        def build(precision: str = precision) -> list[str]:
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                backend = tensorrt_engine.open_engine(session.bundle, precision=precision, cache=EngineCache(Path(folder)))
                took = time.perf_counter() - start
                return [f"| {precision} | {took:.1f} | {backend.plan_bytes / 1e6:.1f} | {backend.version} |"]

        yield from sub_part(precision, build)


def parity(session: Session) -> Iterator[str]:
    """Heads of the whole path against the CPU path on the same frames, and against PyTorch on the same crops."""
    require_gpu()
    yield from ("| engine | faces | head that differs most | by | within |", "|---|---|---|---|---|")

    def rows(name: str, path: GpuPath, tolerance: float) -> list[str]:
        found = []
        for count in (1, 3, 8):
            differences = path_differences(session.bundle, path, count)
            head = max(differences, key=lambda key: differences[key])
            found.append(f"| {name} | {count} | {head} | {differences[head]:.2e} | {tolerance:g} |")
            session.figures[f"parity {name}"] = max(session.figures.get(f"parity {name}", 0), differences[head])
        return found

    for precision in PRECISIONS:

        def engine(precision: str = precision) -> list[str]:
            backend = tensorrt_engine.open_engine(session.bundle, precision=precision)
            return rows(precision, backend.path, TOLERANCES[precision])

        yield from sub_part(f"TensorRT {precision}", engine)
    yield from sub_part("path over PyTorch", lambda: rows("PyTorch", torch_path(session.bundle), TOLERANCES["fp32"]))
    yield from sub_part("PyTorch", lambda: torch_parity(session))


def torch_path(bundle: Bundle) -> GpuPath:
    """Our kernels, buffers and graphs around PyTorch."""
    cuda = require_gpu()
    require_torch()
    return GpuPath(cuda, TorchEngine(bundle.onnx, bundle.spec.crop.size_px), bundle.graph, bundle.spec.crop, 8)


def path_differences(bundle: Bundle, path: GpuPath, count: int) -> dict[str, float]:
    """Largest difference of each head, relative to the larger of 1 and the value; three runs reach the captured graph."""
    crop = bundle.spec.crop
    frame = frame_of(Layout.NV12, 360, 640, seed=count)
    maps = np.concatenate([similarity(crop.size_px, 1.2, 7.0 * i, (60 + 70 * i, 180)) for i in range(count)])
    crops = kernels.crop_face(frame, maps, size_px=crop.size_px, mean=crop.mean, std=crop.std)
    wanted = open_backend("onnx", bundle, device="cpu").infer(crops)
    wanted["au_logit"] = kernels.au_graph(wanted["au_nodes"], bundle.graph)
    worst = dict.fromkeys(wanted, 0.0)
    for _ in range(3):
        got, _ = path.read(frame, maps)
        for name, value in wanted.items():
            scale = np.maximum(np.abs(value), 1)
            worst[name] = max(worst[name], float((np.abs(got[name] - value) / scale).max()))
    return worst


def torch_parity(session: Session) -> list[str]:
    """The reference network itself against ONNX Runtime: a wrong rival would flatter us."""
    require_torch()
    return [f"- PyTorch on the GPU against ONNX Runtime: {torch_difference(session.bundle, 'cuda'):.2e}"]


def torch_difference(bundle: Bundle, device: str) -> float:
    """Largest relative difference over all heads on two random crops."""
    import torch

    side = bundle.spec.crop.size_px
    crops = np.random.default_rng(0).standard_normal((2, 3, side, side)).astype(np.float32)
    wanted: dict[str, Any] = open_backend("onnx", bundle, device="cpu").infer(crops)
    with torch.no_grad():
        got = TorchNetwork(bundle.onnx, device)(torch.from_numpy(crops).to(device))
    pairs = zip(HEADS, got, strict=True)
    return max(float((np.abs(v.cpu().numpy() - wanted[n]) / np.maximum(np.abs(wanted[n]), 1)).max()) for n, v in pairs)

"""The whole way of a frame in host memory to read faces: stages, percentiles, graph against plain
launches, rivals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.bench_engine import PathBackend, open_path
from benchmarks.gpu.bench_kernels import torch_cropper
from benchmarks.gpu.part import (
    NotRunError,
    Session,
    device_times_us,
    percentiles,
    require_gpu,
    require_torch,
    sub_part,
    wall_times_us,
)
from benchmarks.kernel_cases import frame_of, similarity
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner
from faceaffect.bundle.model_spec import HEADS
from faceaffect.kernels.native import native
from faceaffect.types import FloatArray, Frame, PixelFormat

SIZES = {"640x360": (360, 640), "1920x1080": (1080, 1920)}
FACES = (1, 2, 4, 8, 16)
ROOT = Path(__file__).resolve().parents[2]


def faces_of(session: Session, size: str, count: int) -> tuple[Frame, FloatArray]:
    """A frame and maps of faces as wide as a tenth of it, spread over it."""
    height, width = SIZES[size]
    side = session.bundle.spec.crop.size_px
    scale = width / 10 / side
    places = [(width * (i + 1) / (count + 1), height * (0.3 + 0.4 * (i % 2))) for i in range(count)]
    return frame_of(PixelFormat.BGR, height, width), np.concatenate(
        [similarity(side, scale, 5.0, at) for at in places]
    )


def whole(session: Session) -> Iterator[str]:
    """Wall time of `CudaFrameRunner.run`: crop to results, frame in ordinary host memory, replayed
    graph and plain launches.
    """
    path, engine = open_path(session)
    yield from (
        f"- engine: {engine}",
        "",
        "| frame | faces | how | p50, us | p95 | p99 |",
        "|---|---|---|---|---|---|",
    )
    for size in SIZES:
        for count in FACES:
            frame, maps = faces_of(session, size, count)
            for captures in (True, False):
                kind = "graph" if captures else "plain launches"
                kept = dict(path._graphs)
                path.uses_cuda_graphs = captures
                path._graphs.clear() if not captures else None
                times = wall_times_us(partial(path.run, frame, maps), session.repeats)
                path._graphs.update(kept)
                session.figures[f"whole {size} {count} {kind}"] = float(np.median(times))
                yield f"| {size} | {count} | {kind} | {percentiles(times)} |"
    if path.uncaptured:
        yield f"- not captured: {path.uncaptured}"


def whole_half(session: Session) -> Iterator[str]:
    """The same with the float16 engine, replayed graphs alone."""
    path, engine = open_path(session, "fp16")
    yield from (
        f"- engine: {engine}",
        "",
        "| frame | faces | p50, us | p95 | p99 |",
        "|---|---|---|---|---|",
    )
    for size in SIZES:
        for count in FACES:
            frame, maps = faces_of(session, size, count)
            times = wall_times_us(partial(path.run, frame, maps), session.repeats)
            session.figures[f"whole fp16 {size} {count} graph"] = float(np.median(times))
            yield f"| {size} | {count} | {percentiles(times)} |"


def stages(session: Session) -> Iterator[str]:
    """Each step by itself: on the host by the clock, on the GPU by events, there over means of
    batches of 20.
    """
    path, engine = open_path(session)
    yield from (
        f"- engine: {engine}",
        "",
        "| frame | faces | stage | p50, us | p95 | p99 |",
        "|---|---|---|---|---|---|",
    )
    for size in SIZES:
        for count in FACES:
            for name, times in stage_times(session, path, size, count):
                if (size, count) == ("640x360", 1):
                    session.figures[f"stage {name}"] = float(np.median(times))
                yield f"| {size} | {count} | {name} | {percentiles(times)} |"


def stage_times(
    session: Session, path: CudaFrameRunner, size: str, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and times of each step of one kind of run."""
    cuda = require_gpu()
    frame, maps = faces_of(session, size, count)
    path.run(frame, maps)
    slots = next(slots for slots in path._batch_sizes if slots >= count)
    upload_bytes = path._pack_upload(frame, maps, slots)
    yield (
        "lay out on the host",
        wall_times_us(lambda: path._pack_upload(frame, maps, slots), session.repeats),
    )
    places, out_bytes = path._outputs[slots]
    side, crop = path._crop.size_px, path._crop
    jobs = path._block.view([path._block.nbytes], "|u1")
    crops = path._crops.view([slots, 3, side, side], path._network.crop_typestr)
    nodes, logits, grid = (
        path._view(places[name]) for name in ("au_nodes", "au_logit", "appearance_grid")
    )
    steps: dict[str, Callable[[Any], Any]] = {
        "upload": lambda s: cuda.copy_bytes(
            path._block.address, path._block_host.address, upload_bytes, s
        ),
        "crop": lambda s: cuda.crop_jobs_cuda(jobs, crop.mean, crop.std, crops, s),
        "network": lambda s: path._network.enqueue(slots, s.handle),
        "graph layer": lambda s: cuda.au_gcn_cuda(nodes, path._weights, path._widths, logits, s),
        "portrait": lambda s: cuda.appearance_grid_cuda(crops, grid, s),
        "download": lambda s: cuda.copy_bytes(
            path._out_host.address, path._out.address, out_bytes, s
        ),
    }
    for name, step in steps.items():
        yield name, device_times_us(cuda, step, session.repeats)


def rivals(session: Session) -> Iterator[str]:
    """The same work by PyTorch, eager and compiled, and by ONNX Runtime on the GPU; one face,
    640x360.
    """
    torch = require_torch()
    yield from ("| rival | p50, us | p95 | p99 |", "|---|---|---|---|")

    def torch_rows(name: str, wrap: Callable[[Any], Any]) -> list[str]:
        times = wall_times_us(torch_pipeline(torch, session, wrap), session.repeats)
        session.figures[name] = float(np.median(times))
        return [f"| {name} | {percentiles(times)} |"]

    yield from sub_part(
        "PyTorch eager", lambda: torch_rows("PyTorch eager", lambda network: network)
    )
    yield from sub_part("ONNX Runtime on the GPU", lambda: _onnx_rows(session))
    compiled = "torch.compile"  # last: it takes longest to start
    yield from sub_part(
        compiled,
        lambda: torch_rows(
            compiled, lambda network: torch.compile(network, mode="reduce-overhead")
        ),
    )


def torch_pipeline(torch: Any, session: Session, wrap: Callable[[Any], Any]) -> Callable[[], Any]:
    """Upload of the frame, grid_sample, network, graph layer and download, as one writes it with
    PyTorch.
    """
    from benchmarks.gpu.torch_network import TorchNetwork

    frame, maps = faces_of(session, "640x360", 1)
    bundle = session.bundle
    crop = torch_cropper(torch, frame, maps, bundle.spec.crop.size_px)
    network = wrap(TorchNetwork(bundle.onnx, "cuda"))
    weights = bundle.graph
    adjacency, readout, bias = (
        torch.from_numpy(a).cuda()
        for a in (weights.adjacency, weights.readout_weight, weights.readout_bias)
    )
    layers = [
        (torch.from_numpy(w).cuda(), torch.from_numpy(b).cuda())
        for w, b in zip(weights.layer_weights, weights.layer_biases, strict=True)
    ]

    def run() -> Any:
        with torch.no_grad():
            heads = dict(
                zip(HEADS, network(crop(torch.from_numpy(frame.pixels).cuda())), strict=True)
            )
            hidden = heads["au_nodes"]
            for weight, offset in layers:
                hidden = (adjacency @ hidden @ weight + offset).relu()
            heads["au_logit"] = (hidden * readout).sum(dim=2) + bias
            return [value.cpu() for value in heads.values()]

    return run


def _onnx_rows(session: Session) -> list[str]:
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise NotRunError("this onnxruntime has no CUDA provider")
    running = onnxruntime.InferenceSession(session.bundle.onnx, providers=["CUDAExecutionProvider"])
    side = session.bundle.spec.crop.size_px
    crops = np.zeros((1, 3, side, side), np.float32)
    times = wall_times_us(lambda: running.run(list(HEADS), {"crops": crops}), session.repeats)
    return [f"| ONNX Runtime {onnxruntime.__version__}, network alone | {percentiles(times)} |"]


def analysis(session: Session) -> list[str]:
    """`Pipeline.analyze` on the demo clip: tracking, decoding of heads and smoothing on the CPU
    included.
    """
    from faceaffect.detectors.names import default_detector
    from faceaffect.detectors.open_detector import open_detector
    from faceaffect.pipeline import assemble_pipeline
    from faceaffect.sources import open_source
    from faceaffect.tracking.tracker_config import TrackerConfig

    path, engine = open_path(session, max_faces=8)
    with open_source(ROOT / "assets" / "demo.mp4") as source:
        frames = list(source)
    bundle = session.bundle
    backend, detector = (
        PathBackend(path, engine, bundle.spec.crop),
        open_detector(default_detector(), 40),
    )
    with assemble_pipeline(bundle, backend, detector, TrackerConfig()) as pipeline:
        found = sum(len(pipeline.analyze(frame)[0]) for frame in frames[:10])
        iterator = iter(frames * 2)
        times = wall_times_us(lambda: pipeline.analyze(next(iterator)), len(frames))
    lines = [
        f"- engine: {engine}",
        f"- faces in the first 10 frames: {found}",
        "",
        "| frames | p50, us | p95 | p99 |",
    ]
    return [*lines, "|---|---|---|---|", f"| {len(times)} | {percentiles(times)} |"]


def memory(session: Session) -> list[str]:
    """What one open path takes on the GPU, and the process on the host."""
    require_gpu()
    if native is None:
        raise NotRunError("no native module")
    before = native.device_facts(0)["free_bytes"]
    path, engine = open_path(session)
    frame, maps = faces_of(session, "1920x1080", 8)
    for _ in range(3):
        path.run(frame, maps)
    taken = before - native.device_facts(0)["free_bytes"]
    resident = [
        line
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmRSS")
    ]
    return [
        f"- engine: {engine}",
        f"- on the GPU, beyond what was in use: {taken / 1e6:.0f} MB",
        *(f"- {r}" for r in resident),
    ]

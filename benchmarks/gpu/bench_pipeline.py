"""Latency from a frame in host memory to the outputs of its faces: stages, launches, baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.bench_engine import RunnerBackend, open_runner, open_tensorrt
from benchmarks.gpu.bench_kernels import torch_cropper
from benchmarks.gpu.part import (
    NotRunError,
    Session,
    device_times_us,
    percentiles,
    require_gpu,
    require_torch,
    run_section,
    wall_times_us,
)
from benchmarks.kernel_cases import frame_of, similarity
from faceaffect.backends.cuda_frame_runner import CudaFrameRunner
from faceaffect.bundle.model_spec import HEADS
from faceaffect.kernels.native import native
from faceaffect.types import FloatArray, Frame, PixelFormat

SIZES = {"640x360": (360, 640), "1920x1080": (1080, 1920)}
FACES = (1, 2, 4, 8, 16)
CAMERAS = (2, 4, 8)
ROOT = Path(__file__).resolve().parents[2]


def synthetic_faces(session: Session, size: str, count: int) -> tuple[Frame, FloatArray]:
    """A frame, and transforms of faces of a tenth of its width, spread over it."""
    height, width = SIZES[size]
    side = session.bundle.spec.crop.size_px
    scale = width / 10 / side
    places = [(width * (i + 1) / (count + 1), height * (0.3 + 0.4 * (i % 2))) for i in range(count)]
    return frame_of(PixelFormat.BGR, height, width), np.concatenate(
        [similarity(side, scale, 5.0, at) for at in places]
    )


def latency(session: Session) -> Iterator[str]:
    """Wall time of `CudaFrameRunner.run` with replayed graphs and plain launches."""
    runner, engine = open_runner(session)
    yield from (
        f"- engine: {engine}",
        "",
        "| frame | faces | how | p50, us | p95 | p99 |",
        "|---|---|---|---|---|---|",
    )
    for size in SIZES:
        for count in FACES:
            frame, maps = synthetic_faces(session, size, count)
            for captures in (True, False):
                kind = "graph" if captures else "plain launches"
                kept = dict(runner._graphs)
                runner.uses_cuda_graphs = captures
                runner._graphs.clear() if not captures else None
                times = wall_times_us(partial(runner.run, frame, maps), session.repeats)
                runner._graphs.update(kept)
                session.metrics[f"latency {size} {count} {kind}"] = float(np.median(times))
                yield f"| {size} | {count} | {kind} | {percentiles(times)} |"
    if runner.uncaptured:
        yield f"- not captured: {runner.uncaptured}"


def cameras(session: Session) -> Iterator[str]:
    """Wall time of one face in each of several frames, in one run and in a run per frame."""
    runner, engine = open_runner(session)
    yield from (
        f"- engine: {engine}",
        "",
        "| frames of 640x360 | how | p50, us | p95 | p99 |",
        "|---|---|---|---|---|",
    )
    for count in CAMERAS:
        _, maps = synthetic_faces(session, "640x360", count)
        frames = [frame_of(PixelFormat.BGR, *SIZES["640x360"], seed) for seed in range(count)]
        batch = [(frame, maps[i : i + 1]) for i, frame in enumerate(frames)]

        def run_each(batch: list[tuple[Frame, FloatArray]] = batch) -> None:
            for one in batch:
                runner.run(*one)

        for kind, call in (("one run", partial(runner.run_frames, batch)), ("each", run_each)):
            times = wall_times_us(call, session.repeats)
            session.metrics[f"cameras {count} {kind}"] = float(np.median(times))
            yield f"| {count} | {kind} | {percentiles(times)} |"


def latency_fp16(session: Session) -> Iterator[str]:
    """Wall time with the float16 engine."""
    yield from engine_latency(session, "fp16")


def latency_fp32(session: Session) -> Iterator[str]:
    """Wall time with the float32 engine."""
    yield from engine_latency(session, "fp32")


def engine_latency(session: Session, precision: str) -> Iterator[str]:
    """Wall time of replayed graphs with the engine of a precision."""
    runner = open_tensorrt(session, precision).frame_runner
    engine = f"TensorRT, {precision}"
    yield from (
        f"- engine: {engine}",
        "",
        "| frame | faces | p50, us | p95 | p99 |",
        "|---|---|---|---|---|",
    )
    for size in SIZES:
        for count in FACES:
            frame, maps = synthetic_faces(session, size, count)
            times = wall_times_us(partial(runner.run, frame, maps), session.repeats)
            session.metrics[f"latency {precision} {size} {count} graph"] = float(np.median(times))
            yield f"| {size} | {count} | {percentiles(times)} |"


def stages(session: Session) -> Iterator[str]:
    """Time of each step: on the host by the clock, on the GPU by events as means of batches."""
    runner, engine = open_runner(session)
    yield from (
        f"- engine: {engine}",
        "",
        "| frame | faces | stage | p50, us | p95 | p99 |",
        "|---|---|---|---|---|---|",
    )
    for size in SIZES:
        for count in FACES:
            for name, times in stage_times(session, runner, size, count):
                if (size, count) == ("640x360", 1):
                    session.metrics[f"stage {name}"] = float(np.median(times))
                yield f"| {size} | {count} | {name} | {percentiles(times)} |"


def stage_times(
    session: Session, runner: CudaFrameRunner, size: str, count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Name and times of each step."""
    cuda = require_gpu()
    frame, maps = synthetic_faces(session, size, count)
    runner.run(frame, maps)
    slots = next(slots for slots in runner._batch_sizes if slots >= count)
    upload_bytes = runner._pack_upload([(frame, maps)], slots)
    yield (
        "pack on the host",
        wall_times_us(lambda: runner._pack_upload([(frame, maps)], slots), session.repeats),
    )
    places, out_bytes = runner._outputs[slots]
    side, crop = runner._crop.size_px, runner._crop
    jobs = runner._block.view([runner._block.nbytes], "|u1")
    crops = runner._crops.view([slots, 3, side, side], runner._network.crop_typestr)
    nodes, logits, grid = (
        runner._view(places[name]) for name in ("au_nodes", "au_logit", "appearance_grid")
    )
    steps: dict[str, Callable[[Any], Any]] = {
        "upload": lambda s: cuda.copy_bytes(
            runner._block.address, runner._block_host.address, upload_bytes, s
        ),
        "crop": lambda s: cuda.crop_jobs_cuda(jobs, crop.mean, crop.std, crops, s),
        "network": lambda s: runner._network.enqueue(slots, s.handle),
        "graph layer": lambda s: cuda.au_gcn_cuda(
            nodes, runner._weights, runner._widths, logits, s
        ),
        "appearance grid": lambda s: cuda.appearance_grid_cuda(crops, grid, s),
        "download": lambda s: cuda.copy_bytes(
            runner._out_host.address, runner._out.address, out_bytes, s
        ),
    }
    for name, step in steps.items():
        yield name, device_times_us(cuda, step, session.repeats)


def baselines(session: Session) -> Iterator[str]:
    """PyTorch, eager and compiled, and ONNX Runtime on the GPU: one face, 640x360."""
    torch = require_torch()
    yield from ("| baseline | p50, us | p95 | p99 |", "|---|---|---|---|")

    def torch_rows(name: str, wrap: Callable[[Any], Any]) -> list[str]:
        times = wall_times_us(torch_pipeline(torch, session, wrap), session.repeats)
        session.metrics[name] = float(np.median(times))
        return [f"| {name} | {percentiles(times)} |"]

    yield from run_section(
        "PyTorch eager", lambda: torch_rows("PyTorch eager", lambda network: network)
    )
    yield from run_section("ONNX Runtime on the GPU", lambda: _onnx_rows(session))
    compiled = "torch.compile"  # last: it takes longest to start
    yield from run_section(
        compiled,
        lambda: torch_rows(
            compiled, lambda network: torch.compile(network, mode="reduce-overhead")
        ),
    )


def torch_pipeline(torch: Any, session: Session, wrap: Callable[[Any], Any]) -> Callable[[], Any]:
    """Upload, grid_sample, network, graph layer and download, as commonly written in PyTorch."""
    from benchmarks.gpu.torch_network import TorchNetwork

    frame, maps = synthetic_faces(session, "640x360", 1)
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
    session_on_gpu = onnxruntime.InferenceSession(
        session.bundle.onnx, providers=["CUDAExecutionProvider"]
    )
    side = session.bundle.spec.crop.size_px
    crops = np.zeros((1, 3, side, side), np.float32)
    times = wall_times_us(
        lambda: session_on_gpu.run(list(HEADS), {"crops": crops}), session.repeats
    )
    return [f"| ONNX Runtime {onnxruntime.__version__}, network alone | {percentiles(times)} |"]


def analysis(session: Session) -> list[str]:
    """Wall time of `Pipeline.analyze` on the demo clip, with all work on the CPU."""
    from faceaffect.detectors.names import default_detector
    from faceaffect.detectors.open_detector import open_detector
    from faceaffect.pipeline import assemble_pipeline
    from faceaffect.sources import open_source
    from faceaffect.tracking.tracker_config import TrackerConfig

    runner, engine = open_runner(session, max_faces=8)
    with open_source(ROOT / "assets" / "demo.mp4") as source:
        frames = list(source)
    bundle = session.bundle
    backend, detector = (
        RunnerBackend(runner, engine, bundle.spec.crop),
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
    """Memory of a frame runner on the GPU, and of the process on the host."""
    require_gpu()
    if native is None:
        raise NotRunError("no native module")
    before = native.device_facts(0)["free_bytes"]
    runner, engine = open_runner(session)
    frame, maps = synthetic_faces(session, "1920x1080", 8)
    for _ in range(3):
        runner.run(frame, maps)
    used = before - native.device_facts(0)["free_bytes"]
    resident = [
        line
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmRSS")
    ]
    return [
        f"- engine: {engine}",
        f"- on the GPU, in addition to the memory in use: {used / 1e6:.0f} MB",
        *(f"- {r}" for r in resident),
    ]

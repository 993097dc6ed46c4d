"""Measurements of `python -m benchmarks latency`; times are CPU times unless stated otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from faceaffect.backends.option_names import BackendName, PrecisionName
from faceaffect.bench.configuration import Configuration
from faceaffect.bench.workload import make_workload, ping_pong, read_frames
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sinks.overlay_video import OverlayVideo
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU
from faceaffect.types import Frame

FPS: Final = 30.0
SIZE: Final = (640, 360)
FIVE_MINUTES: Final = 9000  # frames
_WARMUP_FRAMES: Final = 30  # until the face is tracked and caches are warm


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Options of the measured pipeline."""

    model: str | None
    backend: BackendName
    precision: PrecisionName
    detector: str | None

    def open(self) -> Pipeline:
        """Open the pipeline on one CPU thread."""
        return open_pipeline(
            self.model,
            backend=self.backend,
            precision=self.precision,
            detector=self.detector,
            threads=1,
            device="cpu",
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """Milliseconds of each frame: in total, and by stage in a second run; and tracked faces."""

    total: list[float]
    stages: dict[str, list[float]]
    num_faces: list[int]

    def tracking_ms(self, values: Sequence[float] | None = None) -> float:
        """Return the median over frames after warm-up in which the detector did not run.

        Args:
            values: Milliseconds of each frame; None for the total.
        """
        values = self.total if values is None else values
        tracked = [v for v, detect in zip(values, self.stages["detect"], strict=True) if not detect]
        return float(np.median(tracked[_WARMUP_FRAMES:] or tracked))


def play_copies(frames: list[Frame], count: int) -> Iterator[Frame]:
    """Yield `count` frames in ping-pong order at `FPS`, each copied.

    Copies are in the cache, as frames of a decoder or camera are; old frames would not be.
    """
    for index in range(count):
        frame = ping_pong(frames, index)
        yield replace(frame, pixels=frame.pixels.copy(), time_s=index / FPS, index=index)


def run_pass(config: PipelineConfig, frames: list[Frame], count: int) -> Pass:
    """Time `count` frames, then their stages with a second pipeline, as the stage timer costs time.

    The detection schedule depends on timestamps only, so both do the same work in each frame.
    """
    total: list[float] = []
    num_faces: list[int] = []
    stages: dict[str, list[float]] = {}
    with config.open() as pipeline:
        for frame in play_copies(frames, count):
            begin_ns = CPU.now()
            faces, _ = pipeline.analyze(frame)
            total.append((CPU.now() - begin_ns) / 1e6)
            num_faces.append(len(faces))
    with config.open() as pipeline:
        pipeline.stage_timer.enable(CPU)
        for frame in play_copies(frames, count):
            pipeline.analyze(frame)
            for name, elapsed_ns in pipeline.stage_timer.elapsed_ns[CPU.name].items():
                stages.setdefault(name, []).append(elapsed_ns / 1e6)
    return Pass(total, stages, num_faces)


def read_clip(clip: str, size: tuple[int, int]) -> list[Frame]:
    """Read at most 120 frames of a clip, scaled to a size."""
    scaled = []
    for frame in read_frames(clip, 120):
        fits = (frame.width_px, frame.height_px) == size
        scaled.append(
            frame
            if fits
            else replace(frame, pixels=np.asarray(cv2.resize(frame.pixels, size), np.uint8))
        )
    return scaled


def tile_faces(clip: str, num_faces: int, folder: Path) -> list[Frame]:
    """Tile the clip's face in 640x360 frames."""
    workload = make_workload(clip, Configuration(size=SIZE, num_faces=num_faces), 72, folder)
    return read_frames(workload.path, 72)


def detector_cost(run: Pass) -> float:
    """Return the additional milliseconds of frames with detection, averaged over all frames."""
    tracking_ms = run.tracking_ms()
    frames = zip(run.total[_WARMUP_FRAMES:], run.stages["detect"][_WARMUP_FRAMES:], strict=True)
    additional = [total - tracking_ms for total, detect in frames if detect]
    return sum(additional) / max(1, len(run.total) - _WARMUP_FRAMES)


def hide_quadrant(frames: list[Frame]) -> list[Frame]:
    """Blur the lower right quadrant: it hides a face, and is no shot change when it ends."""
    top = frames[0].height_px // 2
    left = frames[0].width_px // 2
    blurred = cv2.GaussianBlur(frames[0].pixels[top:, left:], (0, 0), frames[0].width_px / 32)
    hidden = []
    for frame in frames:
        pixels = frame.pixels.copy()
        pixels[top:, left:] = blurred
        hidden.append(replace(frame, pixels=pixels))
    return hidden


def detection_delay_s(config: PipelineConfig, frames: list[Frame]) -> list[float]:
    """Return the seconds until the fourth of four faces is tracked.

    It appears at eight different times between two runs of the detector.
    """
    frames_before = hide_quadrant(frames)
    delays = []
    for offset in range(8):
        entry = 60 + 3 * offset + offset % 2
        with config.open() as pipeline:
            delay_s = float("inf")
            for index in range(entry + 60):
                source = frames_before if index < entry else frames
                frame = replace(ping_pong(source, index), time_s=index / FPS, index=index)
                faces, _ = pipeline.analyze(frame)
                if index == entry - 1 and len(faces) != 3:
                    raise ValueError(
                        f"expected 3 tracked faces before the fourth appears, got {len(faces)}"
                    )
                if index >= entry and len(faces) > 3:
                    delay_s = (index - entry) / FPS
                    break
        delays.append(delay_s)
    return delays


@dataclass(frozen=True, slots=True)
class Growth:
    """Relative growth of time per frame and of memory, from the second fifth to the last one."""

    time: float
    memory: float


def growth(config: PipelineConfig, frames: list[Frame], count: int = FIVE_MINUTES) -> Growth:
    """Analyze a long video with one pipeline."""
    times_ns = []
    resident_mb = []
    with config.open() as pipeline:
        for index, frame in enumerate(play_copies(frames, count)):
            begin_ns = CPU.now()
            pipeline.analyze(frame)
            times_ns.append(CPU.now() - begin_ns)
            if index % 100 == 0:
                resident_mb.append(_resident_mb())
    return Growth(_relative_growth(times_ns), _relative_growth(resident_mb))


def _relative_growth(values: Sequence[float]) -> float:
    fifth = max(1, len(values) // 5)
    return float(np.median(values[-fifth:]) / np.median(values[fifth : 2 * fifth])) - 1


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


_COLD_START_SCRIPT: Final = """
import json, sys, time
import faceaffect
from faceaffect import open_pipeline, open_source
imported = time.process_time()
model, backend, precision, detector, clip = json.loads(sys.argv[1])
with open_source(clip) as source, open_pipeline(
    model, backend=backend, precision=precision, detector=detector, device="cpu"
) as pipeline:
    faces, affect = pipeline.analyze(next(iter(source)))
    first = time.process_time()
print(json.dumps([imported, first, len(faces)]))
"""


def cold_start(config: PipelineConfig, clip: str) -> tuple[float, float]:
    """Return CPU seconds of a new process to the end of the import, and to the first result."""
    job = json.dumps([config.model, config.backend, config.precision, config.detector, clip])
    done = subprocess.run(
        [sys.executable, "-c", _COLD_START_SCRIPT, job], capture_output=True, text=True, check=True
    )
    imported, first, faces = json.loads(done.stdout.splitlines()[-1])
    if not faces:
        raise ValueError(f"{clip}: expected a face in the first frame, got none; use another clip")
    return float(imported), float(first)


def write_clip(clip: str, count: int, folder: Path) -> str:
    """Write a 640x360 video of exactly `count` frames of a clip, in ping-pong order.

    Raises:
        ValueError: The file has another number of frames.
    """
    frames = read_clip(clip, SIZE)
    path = folder / f"{count}.mp4"
    video = OverlayVideo(path, FPS)
    try:
        for frame in play_copies(frames, count):
            video.write(frame, frame.pixels)
    finally:
        video.close()
    with open_source(path) as source:
        written = sum(1 for _ in source)
    if written != count:
        raise ValueError(f"{path}: expected {count} frames, got {written}")
    return str(path)


_ANALYZE_SCRIPT: Final = """
import json, os, sys, time
os.sched_setaffinity(0, json.loads(sys.argv[1]))
from faceaffect.cli import main
try:
    main(sys.argv[2:])
finally:
    print(json.dumps([time.process_time(), time.thread_time()]))
"""


@dataclass(frozen=True, slots=True)
class FileRun:
    """Seconds of `faceaffect analyze` on a file: wall, CPU, and CPU of the analysis thread."""

    wall_s: float
    cpu_s: float = 0.0
    analysis_s: float = 0.0

    def __sub__(self, other: FileRun) -> FileRun:
        return FileRun(
            self.wall_s - other.wall_s,
            self.cpu_s - other.cpu_s,
            self.analysis_s - other.analysis_s,
        )


def run_files(
    config: PipelineConfig,
    clip: str,
    core_sets: Sequence[Sequence[int]],
    folder: Path,
    jobs: int = 1,
) -> FileRun:
    """Analyze a file once on each set of cores, concurrently.

    Wall time ends with the last run. CPU time excludes the worker processes of `jobs`.
    """
    begin_s = time.perf_counter()
    running = [
        _start_file(config, clip, cores, folder / f"rows{number}.csv", jobs)
        for number, cores in enumerate(core_sets)
    ]
    cpu_s = 0.0
    analysis_s = 0.0
    for process in running:
        out, errors = process.communicate()
        if process.returncode:
            raise ValueError(f"{clip}: faceaffect analyze failed: {errors.strip()}")
        process_s, thread_s = json.loads(out.splitlines()[-1])
        cpu_s += process_s
        analysis_s += thread_s
    return FileRun(time.perf_counter() - begin_s, cpu_s, analysis_s)


def _start_file(
    config: PipelineConfig, clip: str, cores: Sequence[int], rows: Path, jobs: int
) -> subprocess.Popen[str]:
    options = [
        "analyze",
        clip,
        "--out",
        str(rows),
        "--overwrite",
        "--quiet",
        "--backend",
        config.backend,
        "--jobs",
        str(jobs),
    ]
    options += [
        "--precision",
        config.precision,
        *(["--model", config.model] if config.model else []),
    ]
    options += ["--detector", config.detector] if config.detector else []
    command = [sys.executable, "-c", _ANALYZE_SCRIPT, json.dumps(list(cores)), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def gemm_gflops() -> float:
    """Return the best rate of float32 matrix products on one thread."""
    best = 0.0
    for side in (256, 512, 1024):
        first, second = (np.random.default_rng(k).random((side, side), np.float32) for k in (0, 1))
        out = np.empty_like(first)
        np.matmul(first, second, out=out)
        times_ns = []
        for _ in range(24):
            begin_ns = CPU.now()
            np.matmul(first, second, out=out)
            times_ns.append(CPU.now() - begin_ns)
        best = max(best, 2 * side**3 / float(np.median(times_ns)))
    return best


def network_macs(content: bytes) -> int:
    """Return the multiply-accumulates of convolutions and dense layers for one crop."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    shapes: dict[str, Any] = {
        value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info
    }
    total = 0
    for node in model.graph.node:
        size = weights.get(node.input[1], []) if len(node.input) > 1 else []
        if node.op_type == "Conv":
            rows, columns = (dim.dim_value for dim in shapes[node.output[0]][2:])
            total += int(np.prod(size)) * rows * columns
        elif node.op_type in ("Gemm", "MatMul") and size:
            total += int(np.prod(size))
    return total

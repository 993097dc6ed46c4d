"""What `python -m benchmarks latency` measures, one function a line or two of its table; times are of
the processor.
"""

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

from faceaffect.bench.configuration import Configuration
from faceaffect.bench.workload import ping_pong, make_workload, read_frames
from faceaffect.pipeline import Pipeline, open_pipeline
from faceaffect.sinks.overlay_video import OverlayVideo
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU
from faceaffect.types import Frame

FPS: Final = 30.0
SIZE: Final = (640, 360)
FIVE_MINUTES: Final = 9000
_SETTLED: Final = 30  # frames until a face is held and caches are warm


@dataclass(frozen=True, slots=True)
class Setup:
    """The pipeline that is measured."""

    model: str | None
    backend: str
    precision: str
    detector: str | None

    def open(self) -> Pipeline:
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
    """One pass over frames: milliseconds of each, all of it and (of a second run) by stage, and how
    many faces were held.
    """

    whole: list[float]
    stages: dict[str, list[float]]
    faces: list[int]

    def held(self, values: Sequence[float] | None = None) -> float:
        """The median over settled frames on which nothing was looked for."""
        chosen = self.whole if values is None else values
        still = [v for v, looked in zip(chosen, self.stages["detect"], strict=True) if not looked]
        return float(np.median(still[_SETTLED:] or still))


def played(frames: list[Frame], count: int) -> Iterator[Frame]:
    """`count` frames forth and back, by the clock of a camera, each written anew, as by a decoder.

    Frames that were read long ago would come from memory: nobody who decodes or films has it so.
    """
    for index in range(count):
        frame = ping_pong(frames, index)
        yield replace(frame, pixels=frame.pixels.copy(), time_s=index / FPS, index=index)


def run_pass(setup: Setup, frames: list[Frame], count: int) -> Pass:
    """A pipeline of its own over `count` frames, then another for the stages: their clock costs
    time and is off at first.

    What is looked at when follows from the frames' times alone, so both do the same in each frame.
    """
    whole: list[float] = []
    faces: list[int] = []
    stages: dict[str, list[float]] = {}
    with setup.open() as pipeline:
        for frame in played(frames, count):
            started = CPU.mark()
            found, _ = pipeline.analyze(frame)
            whole.append((CPU.mark() - started) / 1e6)
            faces.append(len(found))
    with setup.open() as pipeline:
        pipeline.clock.use(CPU)
        for frame in played(frames, count):
            pipeline.analyze(frame)
            for name, elapsed_ns in pipeline.clock.elapsed_ns[CPU.name].items():
                stages.setdefault(name, []).append(elapsed_ns / 1e6)
    return Pass(whole, stages, faces)


def clip_at(clip: str, size: tuple[int, int]) -> list[Frame]:
    """The clip's frames at a size, as many as memory holds."""
    scaled = []
    for frame in read_frames(clip, 120):
        fits = (frame.width_px, frame.height_px) == size
        scaled.append(frame if fits else replace(frame, pixels=cv2.resize(frame.pixels, size)))
    return scaled


def tiled(clip: str, faces: int, folder: Path) -> list[Frame]:
    """The clip's face that many times in a 640x360 image, each no smaller than with eight."""
    workload = make_workload(clip, Configuration(size=SIZE, num_faces=faces), 72, folder)
    return read_frames(workload.path, 72)


def detector_cost(run: Pass) -> float:
    """Milliseconds a frame that looking for others costs once faces are held, spread over all
    frames.
    """
    settled = slice(_SETTLED, None)
    still = run.held()
    extra = [
        w - still
        for w, d in zip(run.whole[settled], run.stages["detect"][settled], strict=True)
        if d
    ]
    return sum(extra) / max(1, len(run.whole) - _SETTLED)


def hide_quadrant(frames: list[Frame]) -> list[Frame]:
    """The frames with a blur over their lower right quarter: nobody stands there yet, and too
    little changes for a cut.
    """
    top, left = frames[0].height_px // 2, frames[0].width_px // 2
    empty = cv2.GaussianBlur(frames[0].pixels[top:, left:], (0, 0), frames[0].width_px / 32)
    changed = []
    for frame in frames:
        pixels = frame.pixels.copy()
        pixels[top:, left:] = empty
        changed.append(replace(frame, pixels=pixels))
    return changed


def detection_delay_s(setup: Setup, four: list[Frame]) -> list[float]:
    """Seconds until the fourth of four faces is found, for entries at eight moments between two
    looks.
    """
    three, delays = hide_quadrant(four), []
    for offset in range(8):
        entry = 60 + 3 * offset + offset % 2
        with setup.open() as pipeline:
            found_after = float("inf")
            for index in range(entry + 60):
                source = three if index < entry else four
                frame = replace(ping_pong(source, index), time_s=index / FPS, index=index)
                faces, _ = pipeline.analyze(frame)
                if index == entry - 1 and len(faces) != 3:
                    raise ValueError(
                        f"three faces were to be held before the fourth enters, there are {len(faces)}"
                    )
                if index >= entry and len(faces) > 3:
                    found_after = (index - entry) / FPS
                    break
        delays.append(found_after)
    return delays


@dataclass(frozen=True, slots=True)
class Growth:
    """Of the last minute of five against the second: time per frame and memory, as shares; the
    first one settles.
    """

    time: float
    memory: float


def growth(setup: Setup, frames: list[Frame], count: int = FIVE_MINUTES) -> Growth:
    """Five minutes of video through one pipeline."""
    times, resident = [], []
    with setup.open() as pipeline:
        for index, frame in enumerate(played(frames, count)):
            started = CPU.mark()
            pipeline.analyze(frame)
            times.append(CPU.mark() - started)
            if index % 100 == 0:
                resident.append(_resident_mb())
    fifth, rows = len(times) // 5, max(1, len(resident) // 5)
    early, late = np.median(times[fifth : 2 * fifth]), np.median(times[-fifth:])
    memory = np.median(resident[-rows:]) / np.median(resident[rows : 2 * rows])
    return Growth(float(late / early) - 1, float(memory) - 1)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


_FRESH: Final = """
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


def fresh_start(setup: Setup, clip: str) -> tuple[float, float]:
    """Processor seconds of a new process until faceaffect is imported, and until the first frame's
    faces are there.
    """
    job = json.dumps([setup.model, setup.backend, setup.precision, setup.detector, clip])
    done = subprocess.run(
        [sys.executable, "-c", _FRESH, job], capture_output=True, text=True, check=True
    )
    imported, first, faces = json.loads(done.stdout.splitlines()[-1])
    if not faces:
        raise ValueError(f"{clip}: a clip whose first frame shows a face is wanted, none was found")
    return float(imported), float(first)


def file_of(clip: str, count: int, folder: Path) -> str:
    """A video of exactly `count` frames: the clip forth and back, 640x360, in MPEG-4 part 2. Raises
    ValueError.
    """
    frames, path = clip_at(clip, SIZE), folder / f"{count}.mp4"
    video = OverlayVideo(path, FPS)
    try:
        for frame in played(frames, count):
            video.write(frame, frame.pixels)
    finally:
        video.close()
    with open_source(path) as source:
        written = sum(1 for _ in source)
    if written != count:
        raise ValueError(f"{path}: a video of {count} frames was to be made, it has {written}")
    return str(path)


_FILE: Final = """
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
    """Seconds of `faceaffect analyze` on a file: by the clock, of the processor, and of the thread
    that analyzes.
    """

    wall_s: float
    cpu_s: float = 0.0
    analyzing_s: float = 0.0

    def __sub__(self, other: FileRun) -> FileRun:
        return FileRun(
            self.wall_s - other.wall_s,
            self.cpu_s - other.cpu_s,
            self.analyzing_s - other.analyzing_s,
        )


def run_files(
    setup: Setup, clip: str, shares: Sequence[Sequence[int]], folder: Path, jobs: int = 1
) -> FileRun:
    """Analyze the file once on each share of cores, all at once; `wall_s` ends with the last.

    Processor time is that of the first process of each alone, not that of `jobs` others.
    """
    started = time.perf_counter()
    running = [
        _start_file(setup, clip, cores, folder / f"rows{number}.csv", jobs)
        for number, cores in enumerate(shares)
    ]
    spent = [0.0, 0.0]
    for process in running:
        out, errors = process.communicate()
        if process.returncode:
            raise ValueError(f"{clip}: was to be analyzed, it was not: {errors.strip()}")
        spent = [
            have + one for have, one in zip(spent, json.loads(out.splitlines()[-1]), strict=True)
        ]
    return FileRun(time.perf_counter() - started, *spent)


def _start_file(
    setup: Setup, clip: str, cores: Sequence[int], rows: Path, jobs: int
) -> subprocess.Popen[str]:
    options = [
        "analyze",
        clip,
        "--out",
        str(rows),
        "--overwrite",
        "--quiet",
        "--backend",
        setup.backend,
        "--jobs",
        str(jobs),
    ]
    options += ["--precision", setup.precision, *(["--model", setup.model] if setup.model else [])]
    options += ["--detector", setup.detector] if setup.detector else []
    command = [sys.executable, "-c", _FILE, json.dumps(list(cores)), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def gemm_rate() -> float:
    """Billions of float32 operations a second of one thread: the best product of square matrices."""
    best = 0.0
    for side in (256, 512, 1024):
        first, second = (np.random.default_rng(k).random((side, side), np.float32) for k in (0, 1))
        out = np.empty_like(first)
        np.matmul(first, second, out=out)
        times = []
        for _ in range(24):
            started = CPU.mark()
            np.matmul(first, second, out=out)
            times.append(CPU.mark() - started)
        best = max(best, 2 * side**3 / float(np.median(times)))
    return best


def network_macs(content: bytes) -> int:
    """Multiply-accumulates of one crop: convolutions, and dense layers by their weights."""
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

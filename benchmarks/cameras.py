"""Several cameras in one thread: `python -m benchmarks cameras`.

Frames of a clip, each camera with a delay of its own, go through one `MultiPipeline` and through a
`Pipeline` per camera, in turn and in one thread on one core. Decoding is not included. Process CPU
time, medians of rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import faceaffect as fa
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.types import Frame

ROOT = Path(__file__).resolve().parents[1]
DELAY_FRAMES = 7
MAX_FACES = 4
Step = Callable[[list[Frame]], object]


def read_frames(clip: Path, count: int, cameras: int) -> list[list[Frame]]:
    """Frames of all cameras at each of `count` moments."""
    delays = [DELAY_FRAMES * i for i in range(cameras)]
    with fa.open_source(clip) as source:
        frames = [frame for frame, _ in zip(source, range(count + delays[-1]), strict=False)]
    moments = [
        [frames[moment + delay] for delay in delays] for moment in range(len(frames) - delays[-1])
    ]
    if len(moments) < count:
        raise SystemExit(
            f"--frames must be at most {len(moments)} for {cameras} cameras and this clip"
        )
    return moments


def cpu_ms_per_frame(step: Step, moments: list[list[Frame]], warm_up: int) -> float:
    """Mean process CPU time of a frame, without the first `warm_up` moments."""
    for frames in moments[:warm_up]:
        step(frames)
    begin_s = time.process_time()
    for frames in moments[warm_up:]:
        step(frames)
    measured = sum(map(len, moments[warm_up:]))
    return 1e3 * (time.process_time() - begin_s) / measured


def together_and_apart(
    model: str | None, precision: str, moments: list[list[Frame]], warm_up: int
) -> tuple[float, float]:
    """CPU milliseconds per frame of one `MultiPipeline`, and of a pipeline per camera."""
    options = {"backend": "onnx", "precision": precision, "max_faces": MAX_FACES}
    cameras = len(moments[0])
    with fa.open_multi_pipeline(cameras, model, **options) as multi:  # type: ignore[arg-type]
        together_ms = cpu_ms_per_frame(multi.analyze, moments, warm_up)
    pipelines = [fa.open_pipeline(model, **options) for _ in range(cameras)]  # type: ignore[arg-type]

    def each(frames: list[Frame]) -> None:
        for pipeline, frame in zip(pipelines, frames, strict=True):
            pipeline.analyze(frame)

    apart_ms = cpu_ms_per_frame(each, moments, warm_up)
    for pipeline in pipelines:
        pipeline.close()
    return together_ms, apart_ms


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks cameras`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cameras", description=__doc__)
    parser.add_argument("--clip", type=Path, default=ROOT / "assets" / "demo.mp4")
    parser.add_argument("--model", default=None)
    parser.add_argument("--cameras", type=int, action="append", help="[default: 1, 2, 4 and 8]")
    parser.add_argument("--frames", type=int, default=100, help="of each camera")
    parser.add_argument("--warm-up", type=int, default=20, help="frames that are not measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", action="append", help="[default: fp32 and auto]")
    parser.add_argument("--record", type=Path, default=None)
    options = parser.parse_args(argv)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:1]))
    load = SystemLoadMonitor()
    rows = []
    for precision in options.precision or ["fp32", "auto"]:
        for cameras in options.cameras or [1, 2, 4, 8]:
            moments = read_frames(options.clip, options.frames, cameras)
            pairs = [
                together_and_apart(options.model, precision, moments, options.warm_up)
                for _ in range(options.rounds)
            ]
            ratios = sorted(apart / together for together, apart in pairs)
            cells = (
                precision,
                cameras,
                *(f"{statistics.median(side):.2f}" for side in zip(*pairs, strict=True)),
                f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            )
            rows.append(f"| {' | '.join(map(str, cells))} |")
            sys.stderr.write(rows[-1] + "\n")
    text = "\n".join(
        [
            f"# Several cameras: {options.clip.name}, {options.frames} frames of each, "
            f"{options.rounds} rounds",
            "",
            *(f"- {name}: {fact}" for name, fact in describe_machine().items()),
            f"- load during the run: {'; '.join(load.stop().warnings()) or 'quiet'}",
            "",
            "Process CPU time per frame, one thread on one core, without decoding. `auto` is the "
            "fastest precision of this machine.",
            "",
            "| precision | cameras | one `MultiPipeline`, ms | a `Pipeline` each, ms "
            "| throughput of one against the other |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    sys.stdout.write(text)
    if options.record:
        options.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

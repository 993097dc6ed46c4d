"""CPU time of the pipeline per frame and stage, on one pinned thread.

Run `python -m benchmarks pipeline CLIP`. Decoding is excluded. Times are process CPU times, which
other work hardly disturbs. `faceaffect bench` measures more, and `python -m benchmarks compare`
compares with other packages.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceaffect.backends.option_names import BackendName
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.percentiles import Distribution
from faceaffect.pipeline import open_pipeline
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU, STAGES
from faceaffect.types import Frame


def time_frames(
    frames: list[Frame], model: str | None, backend: BackendName, by_stage: bool
) -> dict[str, Any]:
    """Analyze the frames once.

    Returns:
        `total_ms` [F], `stages` [F] by name, `frames_with_face`, and `pipeline_info`.
    """
    with open_pipeline(model, backend=backend, threads=1) as pipeline:
        pipeline.stage_timer.enable(*([CPU] if by_stage else []))
        total_ms: list[float] = []
        frames_with_face = 0
        stages: dict[str, list[float]] = {name: [] for name in STAGES}
        for frame in frames:
            begin_ns = CPU.now()
            faces, _ = pipeline.analyze(frame)
            total_ms.append((CPU.now() - begin_ns) / 1e6)
            frames_with_face += bool(len(faces))
            for name in STAGES if by_stage else ():
                stages[name].append(pipeline.stage_timer.elapsed_ns[CPU.name][name] / 1e6)
        return {
            "total_ms": total_ms,
            "frames_with_face": frames_with_face,
            "stages": stages,
            "pipeline_info": pipeline.describe(),
        }


def _row(name: str, values: list[float]) -> str:
    times = Distribution.from_rounds([values])
    return f"| {name} | {times.p50:.3f} | {times.p95:.3f} | {times.p99:.3f} | {times.mean:.3f} |"


def measure(arguments: argparse.Namespace) -> str:
    """Run all rounds, and return the record."""
    with open_source(arguments.clip) as source:
        frames = list(source)
    size = f"{frames[0].width_px}x{frames[0].height_px}"
    time_frames(frames, arguments.model, arguments.backend, by_stage=False)
    passes = [
        time_frames(frames, arguments.model, arguments.backend, by_stage=False)
        for _ in range(arguments.rounds)
    ]
    staged = time_frames(frames, arguments.model, arguments.backend, by_stage=True)
    medians = [float(np.median(one["total_ms"])) for one in passes]
    all_ms = [value for one in passes for value in one["total_ms"]]
    title = (
        f"# Pipeline, one pinned thread: {Path(arguments.clip).name}, {size}, {len(frames)} frames"
    )
    lines = [
        title,
        "",
        *(f"- {k}: {v}" for k, v in (describe_machine() | passes[0]["pipeline_info"]).items()),
        "",
    ]
    lines += ["Process CPU milliseconds per frame, without decoding.", ""]
    lines += ["| | p50 | p95 | p99 | mean |", "|---|---|---|---|---|", _row("total", all_ms)]
    lines += [_row(f"stage: {name}", values) for name, values in staged["stages"].items()]
    network = float(np.median(staged["stages"]["network"]))
    others = 1 - network / float(np.median(staged["total_ms"]))
    lines += ["", f"- frames with a face: {passes[0]['frames_with_face']} of {len(frames)}"]
    lines += [f"- median of each round: {', '.join(f'{m:.3f}' for m in medians)} ms"]
    lines += [
        f"- all stages but the network: {100 * others:.0f} % of the median frame (staged pass)"
    ]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks pipeline`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks pipeline", description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("--model", default=None)
    parser.add_argument("--backend", default="onnx")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", type=Path, default=None)
    arguments = parser.parse_args(argv)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    text = measure(arguments)
    sys.stdout.write(text)
    if arguments.record:
        arguments.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

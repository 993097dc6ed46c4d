"""Per-frame cost of the whole pipeline on one pinned thread, whole and per stage.

`python -m benchmarks pipeline CLIP [--record FILE.md]`. Decoding is left out; every figure is
process-CPU time, so other work on the machine disturbs it little. `faceaffect bench` measures
more, `python -m benchmarks compare` compares with other packages.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceaffect.bench.machine import describe_machine
from faceaffect.bench.percentiles import Distribution
from faceaffect.pipeline import open_pipeline
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU, STAGES
from faceaffect.types import Frame


def time_ours(
    frames: list[Frame], model: str | None, backend: str, by_stage: bool
) -> dict[str, Any]:
    """One pass over the frames: `ms` whole [F], `stages` each [F], `held` frames with a face."""
    with open_pipeline(model, backend=backend, threads=1) as pipeline:
        pipeline.clock.use(*([CPU] if by_stage else []))
        whole, held, stages = [], 0, {name: [] for name in STAGES}  # type: ignore[var-annotated]
        for frame in frames:
            started = CPU.mark()
            faces, _ = pipeline.analyze(frame)
            whole.append((CPU.mark() - started) / 1e6)
            held += bool(len(faces))
            for name in STAGES if by_stage else ():
                stages[name].append(pipeline.clock.elapsed_ns[CPU.name][name] / 1e6)
        return {"ms": whole, "held": held, "stages": stages, "about": pipeline.describe()}


def _row(name: str, values: list[float]) -> str:
    found = Distribution.from_rounds([values])
    return f"| {name} | {found.p50:.3f} | {found.p95:.3f} | {found.p99:.3f} | {found.mean:.3f} |"


def measure(arguments: argparse.Namespace) -> str:
    """Run all rounds and give the record as Markdown."""
    with open_source(arguments.clip) as source:
        frames = list(source)
    size = f"{frames[0].width_px}x{frames[0].height_px}"
    time_ours(frames, arguments.model, arguments.backend, by_stage=False)
    ours = [
        time_ours(frames, arguments.model, arguments.backend, by_stage=False)
        for _ in range(arguments.rounds)
    ]
    staged = time_ours(frames, arguments.model, arguments.backend, by_stage=True)
    medians = [float(np.median(one["ms"])) for one in ours]
    every = [value for one in ours for value in one["ms"]]
    title = (
        f"# Pipeline, one pinned thread: {Path(arguments.clip).name}, {size}, {len(frames)} frames"
    )
    lines = [
        title,
        "",
        *(f"- {k}: {v}" for k, v in (describe_machine() | ours[0]["about"]).items()),
        "",
    ]
    lines += ["Process-CPU milliseconds per frame, decoding left out.", ""]
    lines += ["| | p50 | p95 | p99 | mean |", "|---|---|---|---|---|", _row("whole", every)]
    lines += [_row(f"stage: {name}", values) for name, values in staged["stages"].items()]
    network = float(np.median(staged["stages"]["network"]))
    rest = 1 - network / float(np.median(staged["ms"]))
    lines += ["", f"- frames with a face: {ours[0]['held']} of {len(frames)}"]
    lines += [f"- median of each round: {', '.join(f'{m:.3f}' for m in medians)} ms"]
    lines += [f"- everything but the network: {100 * rest:.0f} % of the median frame (staged pass)"]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks pipeline`."""
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

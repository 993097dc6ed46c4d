"""`python -m benchmarks gpu [--record FILE.md]`: everything that needs a GPU, in one run that always reaches its end.

A part that cannot run says "not run:" and why. On a machine without a GPU that is all of them.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import subprocess
from pathlib import Path

from benchmarks.gpu.part import NotRunError, Part, Session, require_gpu, run_part
from faceaffect import kernels
from faceaffect.backends.tensorrt_library import find_tensorrt
from faceaffect.bench.machine import describe_machine
from faceaffect.bundle import open_bundle

# Modules are imported by their part: one that needs PyTorch must not cost the others.
PARTS: tuple[tuple[str, str], ...] = (
    ("Kernels against the definition", "kernel_part.check"),
    ("Kernels under compute-sanitizer", "kernel_part.sanitize"),
    ("Kernels: times", "kernel_part.time_all"),
    ("Engines: build", "engine_part.build_all"),
    ("Engines: parity", "engine_part.parity"),
    ("Frame to result", "path_part.whole"),
    ("Stages", "path_part.stages"),
    ("Rivals", "path_part.rivals"),
    ("Analysis of the demo clip", "path_part.analysis"),
    ("Memory", "path_part.memory"),
)


def environment(session: Session) -> list[str]:
    """Machine, GPU, driver, CUDA, TensorRT, kernels."""
    facts = describe_machine() | {
        "bundle": session.bundle.spec.name,
        "kernels": str(kernels.info()),
        "kernel": platform.release(),
    }
    library, reason = find_tensorrt()
    facts["TensorRT"] = str(library) if library else f"none: {reason}"
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    try:
        cuda = require_gpu()
    except NotRunError as error:
        return [*lines, f"- GPU: none: {error}"]
    lines += [f"- GPU {name}: {value}" for name, value in cuda.device_facts(0).items()]
    lines += [f"- CUDA of the driver: {cuda.driver_version()}", f"- CUDA of the kernels: {cuda.runtime_version()}"]
    asked = "driver_version,clocks.sm,clocks.mem,power.limit"
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={asked}", "--format=csv"], capture_output=True, text=True, check=True
        )
        lines.append(f"- nvidia-smi: {'; '.join(done.stdout.split(chr(10))).strip('; ')}")
    except (OSError, subprocess.CalledProcessError) as error:
        lines.append(f"- nvidia-smi: {error}")
    return lines


def targets(session: Session) -> list[str]:
    """What was aimed at, one face in a 640x360 frame in host memory, on a data-centre GPU."""
    found = session.figures
    whole, eager = found.get("whole 640x360 1 graph"), found.get("PyTorch eager")
    network = found.get("stage network")
    crops = [value for name, value in found.items() if name.startswith("floor share: ") and "BGR 112 px" in name]
    rows = [
        ("frame to result, p50", "under 300 us", whole, None if whole is None else whole < 300),
        (
            "everything but the engine",
            "at most 40 %",
            None if whole is None or network is None else 100 * (1 - network / whole),
            None if whole is None or network is None else network >= 0.6 * whole,
        ),
        (
            "times faster than PyTorch eager",
            "at least 3",
            None if whole is None or eager is None else eager / whole,
            None if whole is None or eager is None else eager >= 3 * whole,
        ),
        ("crop kernel, times its floor", "at most 1.5", max(crops) if crops else None, max(crops) <= 1.5 if crops else None),
    ]
    lines = ["| target | aim | found | |", "|---|---|---|---|"]
    for name, aim, value, is_met in rows:
        verdict = "not run" if value is None else ("met" if is_met else "missed")
        lines.append(f"| {name} | {aim} | {'' if value is None else f'{value:.1f}'} | {verdict} |")
    return lines


def _late(where: str) -> Part:
    module, _, name = where.partition(".")

    def part(session: Session) -> list[str]:
        found: Part = getattr(importlib.import_module(f"benchmarks.gpu.{module}"), name)
        return found(session)

    return part


def record(model: str | None, repeats: int) -> str:
    """The whole record as Markdown."""
    session = Session(open_bundle(model), repeats)
    lines = ["# GPU record", "", *run_part("Environment", environment, session)]
    for title, where in PARTS:
        section = run_part(title, _late(where), session)
        print("\n".join(section), flush=True)
        lines += section
    return "\n".join([*lines, *run_part("Targets", targets, session)])


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks gpu`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--model", default=None, help="bundle; the shipped one by default")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--record", type=Path, help="write the record to this Markdown file as well")
    options = parser.parse_args(argv)
    text = record(options.model, options.repeats)
    print(text)
    if options.record:
        options.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

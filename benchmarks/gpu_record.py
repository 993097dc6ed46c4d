"""`python -m benchmarks gpu [--record FILE.md] [--minutes 9] [--resume]`: the GPU record.

Each part runs in its own process, so that one that crashes, hangs or loses the GPU does not affect
the others. A part that cannot run is recorded as "not run" with the reason. The record is written
after every part, in the order of their value, so that an interrupted run has the first ones;
`--resume` keeps the parts that finished on the same GPU and runs the others. Nothing is downloaded.
benchmarks/gpu/README.md tells what to prepare.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = "Environment"
"""Title of the part that always runs: it identifies the GPU of the others."""

KERNELS, TENSORRT = "kernels", "tensorrt"
GROUPS = (KERNELS, TENSORRT)
"""Groups of parts: those that need no TensorRT, which is large, and those that do."""


@dataclass(frozen=True, slots=True)
class RecordPart:
    """A function `module.name` of `benchmarks.gpu`, and its time limit."""

    title: str
    function: str
    timeout_s: float = 60
    group: str = KERNELS


PARTS: tuple[RecordPart, ...] = (
    RecordPart(ENVIRONMENT, "machine_facts.environment", 30),
    RecordPart("Kernels against the definition", "bench_kernels.check"),
    RecordPart("Kernels: times", "bench_kernels.time_kernels"),
    RecordPart("Graph capture and parity over PyTorch", "bench_engine.torch_parity"),
    RecordPart("Frame to result", "bench_pipeline.latency", 90),
    RecordPart("Stages", "bench_pipeline.stages"),
    RecordPart("Kernels under compute-sanitizer", "bench_kernels.sanitize", 120),
    RecordPart("Baselines", "bench_pipeline.baselines", 120),
    RecordPart("Analysis of the demo clip", "bench_pipeline.analysis"),
    RecordPart("Memory", "bench_pipeline.memory"),
    RecordPart("Several cameras", "bench_pipeline.cameras"),
    RecordPart("Engines: build", "bench_engine.build_engines", 240, TENSORRT),
    RecordPart("Engines: parity", "bench_engine.engine_parity", 240, TENSORRT),
    RecordPart("Frame to result, float16 engine", "bench_pipeline.latency_fp16", 120, TENSORRT),
    RecordPart("Frame to result, float32 engine", "bench_pipeline.latency_fp32", 120, TENSORRT),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of a metric; `value` is None if it was not measured."""

    name: str
    limit: float
    unit: str
    value: float | None
    is_minimum: bool = False

    def row(self) -> str:
        relation = "at least" if self.is_minimum else "at most"
        start = f"| {self.name} | {relation} {self.limit:g}{self.unit} |"
        if self.value is None:
            return f"{start} | | not run |"
        is_met = self.value >= self.limit if self.is_minimum else self.value <= self.limit
        verdict = "met" if is_met else "missed"
        return f"{start} {self.value:.1f} | {self.value / self.limit:.2f} | {verdict} |"


def targets(metrics: dict[str, float]) -> list[str]:
    """Table of the targets on a data-center GPU: one face, 640x360 frame in host memory."""
    latency = metrics.get("latency 640x360 1 graph")
    eager, network = metrics.get("PyTorch eager"), metrics.get("stage network")
    crops = [
        value
        for name, value in metrics.items()
        if name.startswith("times the floor: ") and "BGR 112 px" in name
    ]
    rest = None if latency is None or network is None else 100 * (1 - network / latency)
    speedup = None if latency is None or eager is None else eager / latency
    rows = (
        Target("frame to result, p50", 300, " us", latency),
        Target("share of all but the engine", 40, " %", rest),
        Target("times faster than PyTorch eager", 3, "", speedup, is_minimum=True),
        Target("crop kernel, times its floor", 1.5, "", max(crops) if crops else None),
    )
    header = ["| target | limit | measured | of the limit | |", "|---|---|---|---|---|"]
    return [*header, *(row.row() for row in rows)]


def run_process(command: list[str], timeout_s: float) -> Iterator[str]:
    """Lines of standard output up to the end or the timeout, then the reason of a failure."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, cwd=ROOT, start_new_session=True
        )
        try:
            code: int | None = process.wait(max(1, timeout_s))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # including its children
                process.wait()
        stdout.seek(0)
        yield from stdout.read().splitlines()
        stderr.seek(0)
        lines = [line for line in stderr.read().splitlines() if line.strip()]
        last = lines[-1] if lines else "no message"
        if code is None:
            yield f"not run: timeout after {timeout_s:.0f} s"
        elif code != 0:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            yield f"not run: ended by {how}: {last}"


@dataclass(slots=True)
class RecordState:
    """Results so far, stored beside the record for `--resume`; `sections` are lines by title."""

    sections: dict[str, list[str]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> RecordState:
        """State of an earlier run; empty if there is none or the file is damaged."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                dict(raw["sections"]),
                dict(raw["metrics"]),
                dict(raw["notes"]),
                list(raw["options"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def has_finished(self, part: RecordPart) -> bool:
        """Whether the part ran to its end."""
        lines = self.sections.get(part.title, [])
        return bool(lines) and not any(line.startswith("not run:") for line in lines)

    def load_results(self, results: Path) -> None:
        """Take over the metrics and notes that a part's process wrote."""
        if results.is_file():
            raw = json.loads(results.read_text(encoding="utf-8"))
            self.metrics, self.notes = raw["metrics"], raw["notes"]

    def save_results(self, results: Path) -> None:
        """Write metrics and notes for the processes of later parts."""
        content = json.dumps({"metrics": self.metrics, "notes": self.notes})
        results.write_text(content, encoding="utf-8")


def record(
    options: list[str],
    minutes: float,
    write: Callable[[str], None],
    parts: tuple[RecordPart, ...] = PARTS,
    *,
    state_file: Path | None = None,
    resume: bool = False,
    group: str | None = None,
) -> str:
    """Run the parts.

    Args:
        options: Options of each part's process.
        minutes: Time for all parts.
        write: Receives the record so far after every part.
        parts: Parts in their order.
        state_file: File for resuming.
        resume: Whether to keep the finished parts of `state_file`.
        group: Run the parts of this group only, and keep those of others.

    Returns:
        The record as Markdown.
    """
    deadline_s = time.monotonic() + 60 * minutes
    earlier = RecordState.load(state_file) if resume and state_file is not None else RecordState()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        state = RecordState(options=options)
        for part in parts:
            is_environment = part.title == ENVIRONMENT
            is_left_out = not is_environment and group is not None and part.group != group
            if not is_environment and earlier.has_finished(part):
                state.sections[part.title] = _reused_lines(earlier, state, part)
            elif is_left_out:
                state.sections[part.title] = [f"not run: part of the group {part.group}"]
            else:
                command = [sys.executable, "-m", "benchmarks.gpu", part.function]
                command += ["--results", str(results), *options]
                left_s = deadline_s - time.monotonic()
                state.sections[part.title] = _run_part(part, command, minutes, left_s)
                state.load_results(results)
            if is_environment:
                earlier = _matching_run(earlier, state, results)
            print(_section(part.title, state), flush=True)
            if state_file is not None:
                state_file.write_text(json.dumps(asdict(state)), encoding="utf-8")
            write(_to_markdown(parts, state) + "\nThe run was interrupted here.\n")
    summary = "\n".join(["", "## Targets", "", *targets(state.metrics), ""])
    print(summary, flush=True)
    text = _to_markdown(parts, state) + summary
    write(text)
    return text


def _run_part(part: RecordPart, command: list[str], minutes: float, left_s: float) -> list[str]:
    if left_s < 5:
        return [f"not run: no time left of {minutes:g} minutes"]
    return list(run_process(command, min(part.timeout_s, left_s)))


def _matching_run(earlier: RecordState, state: RecordState, results: Path) -> RecordState:
    """The earlier run, whose metrics later parts get; an empty one if GPU or options differ."""
    if earlier.notes.get("gpu") != state.notes.get("gpu") or earlier.options != state.options:
        if earlier.sections:
            other = ", ".join([earlier.notes.get("gpu", "no GPU"), *earlier.options])
            state.sections[ENVIRONMENT].append(
                f"- ignored: an earlier run of another kind ({other})"
            )
        return RecordState()
    state.metrics = earlier.metrics | state.metrics
    state.notes = earlier.notes | state.notes
    state.save_results(results)
    return earlier


def _reused_lines(earlier: RecordState, state: RecordState, part: RecordPart) -> list[str]:
    """Lines of a finished part, with its commit if that is another one."""
    lines, commit = earlier.sections[part.title], earlier.notes.get("commit", "unknown")
    is_marked = any(line.startswith("- kept from") for line in lines)
    if is_marked or commit == state.notes.get("commit", "unknown"):
        return lines
    return [*lines, f"- kept from an earlier run, commit {commit}"]


def _section(title: str, state: RecordState) -> str:
    return "\n".join(["", f"## {title}", "", *state.sections[title], ""])


def _to_markdown(parts: tuple[RecordPart, ...], state: RecordState) -> str:
    sections = [_section(part.title, state) for part in parts if part.title in state.sections]
    return "# GPU record\n" + "".join(sections)


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks gpu`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--model", default=None, help="bundle [default: the shipped one]")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=30, help="time for all parts")
    parser.add_argument("--group", choices=GROUPS, help="run the parts of this group only")
    parser.add_argument(
        "--record", type=Path, help="write the record to this Markdown file and FILE.json beside it"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep the parts that FILE.json has of this GPU"
    )
    options = parser.parse_args(argv)
    if options.resume and options.record is None:
        parser.error("--resume needs the record of an earlier run: add --record FILE.md")
    part_options = ["--repeats", str(options.repeats)]
    part_options += ["--model", options.model] if options.model else []

    def write(text: str) -> None:
        if options.record:
            options.record.write_text(text, encoding="utf-8")

    record(
        part_options,
        options.minutes,
        write,
        state_file=options.record.with_suffix(".json") if options.record else None,
        resume=options.resume,
        group=options.group,
    )


if __name__ == "__main__":
    main()

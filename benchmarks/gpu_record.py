"""`python -m benchmarks gpu [--record FILE.md] [--minutes 9]`: everything that needs a GPU, in one run that reaches its end.

Each part is a process of its own: one that crashes, hangs or loses the GPU costs no other. A part that cannot run says
"not run" and why. The record is written after every part, the most telling ones first, so that a run that is cut off has
them. On a machine without a GPU no part runs. Nothing is fetched from a network.
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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class PartOfRecord:
    """`where` is a function of `benchmarks.gpu`; `longest_s` how long it may take, if that much is left."""

    title: str
    where: str
    longest_s: float = 120


PARTS: tuple[PartOfRecord, ...] = (
    PartOfRecord("Environment", "machine_part.environment", 60),
    PartOfRecord("Kernels against the definition", "kernel_part.check"),
    PartOfRecord("Frame to result", "path_part.whole", 180),
    PartOfRecord("Stages", "path_part.stages"),
    PartOfRecord("Rivals", "path_part.rivals", 180),
    PartOfRecord("Kernels: times", "kernel_part.time_all"),
    PartOfRecord("Engines: build", "engine_part.build_all", 240),
    PartOfRecord("Engines: parity", "engine_part.parity", 240),
    PartOfRecord("Analysis of the demo clip", "path_part.analysis"),
    PartOfRecord("Memory", "path_part.memory"),
    PartOfRecord("Kernels under compute-sanitizer", "kernel_part.sanitize", 300),
)


@dataclass(frozen=True, slots=True)
class Target:
    """`aim` is the most (or the least) that `found` may be."""

    name: str
    aim: float
    unit: str
    found: float | None
    is_least: bool = False

    def row(self) -> str:
        said = f"| {self.name} | {'at least' if self.is_least else 'at most'} {self.aim:g}{self.unit} |"
        if self.found is None:
            return f"{said} | | not run |"
        is_met = self.found >= self.aim if self.is_least else self.found <= self.aim
        return f"{said} {self.found:.1f} | {self.found / self.aim:.2f} | {'met' if is_met else 'missed'} |"


def targets(figures: dict[str, float]) -> list[str]:
    """What was aimed at, one face in a 640x360 frame in host memory, on a data-centre GPU."""
    whole, eager = figures.get("whole 640x360 1 graph"), figures.get("PyTorch eager")
    network = figures.get("stage network")
    crops = [value for name, value in figures.items() if name.startswith("floor share: ") and "BGR 112 px" in name]
    rest = None if whole is None or network is None else 100 * (1 - network / whole)
    rows = (
        Target("frame to result, p50", 300, " us", whole),
        Target("everything but the engine", 40, " %", rest),
        Target("times faster than PyTorch eager", 3, "", None if whole is None or eager is None else eager / whole, True),
        Target("crop kernel, times its floor", 1.5, "", max(crops) if crops else None),
    )
    return ["| target | aim | found | of the aim | |", "|---|---|---|---|---|", *(row.row() for row in rows)]


def run_apart(command: list[str], longest_s: float) -> Iterator[str]:
    """Lines of standard output, all that there are when it ends or is ended; then why, if it did not end well."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(command, stdout=said, stderr=complaints, cwd=ROOT, start_new_session=True)
        try:
            code: int | None = process.wait(max(1, longest_s))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
                process.wait()
        said.seek(0)
        yield from said.read().splitlines()
        complaints.seek(0)
        last = next((line for line in reversed(complaints.read().splitlines()) if line.strip()), "no words")
        if code is None:
            yield f"not run: ended after {longest_s:.0f} s, unfinished"
        elif code != 0:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            yield f"not run: ended by {how}: {last}"


def record(options: list[str], minutes: float, write: Callable[[str], None], parts: tuple[PartOfRecord, ...] = PARTS) -> str:
    """The whole record as Markdown; `write` gets what there is of it after every part."""
    until_s = time.monotonic() + 60 * minutes
    text = "# GPU record\n"
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        for part in parts:
            left_s = until_s - time.monotonic()
            command = [sys.executable, "-m", "benchmarks.gpu", part.where, "--figures", str(figures), *options]
            if left_s < 5:
                lines = [f"not run: no time left of {minutes:g} minutes"]
            else:
                lines = list(run_apart(command, min(part.longest_s, left_s)))
            section = "\n".join(["", f"## {part.title}", "", *lines, ""])
            print(section, flush=True)
            text += section
            write(text + "\nThe run was cut off here.\n")
        found = json.loads(figures.read_text()) if figures.is_file() else {}
    section = "\n".join(["", "## Targets", "", *targets(found), ""])
    print(section, flush=True)
    write(text + section)
    return text + section


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks gpu`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--model", default=None, help="bundle; the shipped one by default")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=30, help="time for all parts; what comes after it is not run")
    parser.add_argument("--record", type=Path, help="write the record to this Markdown file as well")
    options = parser.parse_args(argv)
    given = ["--repeats", str(options.repeats)] + (["--model", options.model] if options.model else [])

    def write(text: str) -> None:
        if options.record:
            options.record.write_text(text, encoding="utf-8")

    record(given, options.minutes, write)


if __name__ == "__main__":
    main()

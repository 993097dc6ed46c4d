"""`python -m benchmarks gpu [--record FILE.md] [--minutes 9] [--resume]`: everything that needs a
GPU, in one run.

Each part is a process of its own: one that crashes, hangs or loses the GPU costs no other. A
part that cannot run says "not run" and why. The record is written after every part, the most
telling ones first, so that a run that is cut off has them; `--resume` keeps the parts that ran
on the same GPU and runs the others. On a machine without a GPU no part runs. Nothing is fetched
from a network. What to prepare stands in benchmarks/gpu/README.md.
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
FIRST = "Environment"
"""Title of the part that runs every time, since it names the GPU."""


@dataclass(frozen=True, slots=True)
class PartOfRecord:
    """`where` is a function of `benchmarks.gpu`; `longest_s` how long it may take, if that much is
    left.
    """

    title: str
    where: str
    longest_s: float = 120


PARTS: tuple[PartOfRecord, ...] = (
    PartOfRecord(FIRST, "machine_facts.environment", 60),
    PartOfRecord("Kernels against the definition", "bench_kernels.check"),
    PartOfRecord("Frame to result", "bench_pipeline.whole", 180),
    PartOfRecord("Frame to result, float16 engine", "bench_pipeline.whole_half"),
    PartOfRecord("Stages", "bench_pipeline.stages"),
    PartOfRecord("Baselines", "bench_pipeline.baselines", 180),
    PartOfRecord("Kernels: times", "bench_kernels.time_all"),
    PartOfRecord("Engines: build", "bench_engine.build_all", 240),
    PartOfRecord("Engines: parity", "bench_engine.parity", 240),
    PartOfRecord("Analysis of the demo clip", "bench_pipeline.analysis"),
    PartOfRecord("Memory", "bench_pipeline.memory"),
    PartOfRecord("Kernels under compute-sanitizer", "bench_kernels.sanitize", 300),
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
        bound = "at least" if self.is_least else "at most"
        row = f"| {self.name} | {bound} {self.aim:g}{self.unit} |"
        if self.found is None:
            return f"{row} | | not run |"
        is_met = self.found >= self.aim if self.is_least else self.found <= self.aim
        result = "met" if is_met else "missed"
        return f"{row} {self.found:.1f} | {self.found / self.aim:.2f} | {result} |"


def targets(figures: dict[str, float]) -> list[str]:
    """Targets for one face in a 640x360 frame in host memory, on a data-center GPU."""
    whole, eager = figures.get("whole 640x360 1 graph"), figures.get("PyTorch eager")
    network = figures.get("stage network")
    crops = [
        value
        for name, value in figures.items()
        if name.startswith("floor share: ") and "BGR 112 px" in name
    ]
    rest = None if whole is None or network is None else 100 * (1 - network / whole)
    rows = (
        Target("frame to result, p50", 300, " us", whole),
        Target("everything but the engine", 40, " %", rest),
        Target(
            "times faster than PyTorch eager",
            3,
            "",
            None if whole is None or eager is None else eager / whole,
            True,
        ),
        Target("crop kernel, times its floor", 1.5, "", max(crops) if crops else None),
    )
    return [
        "| target | aim | found | of the aim | |",
        "|---|---|---|---|---|",
        *(row.row() for row in rows),
    ]


def run_apart(command: list[str], longest_s: float) -> Iterator[str]:
    """Lines of standard output, all that there are when it ends or is ended; then why, if it did
    not end well.
    """
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command, stdout=said, stderr=complaints, cwd=ROOT, start_new_session=True
        )
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
        last = next(
            (line for line in reversed(complaints.read().splitlines()) if line.strip()), "no words"
        )
        if code is None:
            yield f"not run: ended after {longest_s:.0f} s, unfinished"
        elif code != 0:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            yield f"not run: ended by {how}: {last}"


@dataclass(slots=True)
class Learned:
    """State of a run, saved beside the record so that the run can be resumed."""

    sections: dict[str, list[str]] = field(default_factory=dict)  # lines, by the title of the part
    figures: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> Learned:
        """Load the state of an earlier run; empty if there is none or its file is damaged."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                dict(raw["sections"]),
                dict(raw["figures"]),
                dict(raw["notes"]),
                list(raw["options"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def has(self, part: PartOfRecord) -> bool:
        """Whether the part ran to its end."""
        lines = self.sections.get(part.title, [])
        return bool(lines) and not any(line.startswith("not run:") for line in lines)


def record(
    options: list[str],
    minutes: float,
    write: Callable[[str], None],
    parts: tuple[PartOfRecord, ...] = PARTS,
    *,
    state: Path | None = None,
    resume: bool = False,
) -> str:
    """The whole record as Markdown; `write` gets what there is of it after every part, `state` all
    that a resume needs.
    """
    until_s = time.monotonic() + 60 * minutes
    earlier = Learned.load(state) if resume and state is not None else Learned()
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "learned.json"
        learned = Learned(options=options)
        for part in parts:
            if part.title != FIRST and earlier.has(part):
                learned.sections[part.title] = _kept(earlier, learned, part)
            else:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.gpu",
                    part.where,
                    "--learned",
                    str(shared),
                    *options,
                ]
                learned.sections[part.title] = _lines_of(
                    part, command, minutes, until_s - time.monotonic()
                )
                _take_over(learned, shared)
            if part.title == FIRST:
                earlier = _of_same_kind(earlier, learned, shared)
            print(_section(part.title, learned), flush=True)
            if state is not None:
                state.write_text(json.dumps(asdict(learned)), encoding="utf-8")
            write(_text(parts, learned) + "\nThe run was cut off here.\n")
    whole = _text(parts, learned) + "\n".join(["", "## Targets", "", *targets(learned.figures), ""])
    print(whole[whole.rindex("## Targets") :], flush=True)
    write(whole)
    return whole


def _lines_of(part: PartOfRecord, command: list[str], minutes: float, left_s: float) -> list[str]:
    if left_s < 5:
        return [f"not run: no time left of {minutes:g} minutes"]
    return list(run_apart(command, min(part.longest_s, left_s)))


def _take_over(learned: Learned, shared: Path) -> None:
    """Read the figures and notes that the process of a part has added."""
    if shared.is_file():
        found = json.loads(shared.read_text(encoding="utf-8"))
        learned.figures, learned.notes = found["figures"], found["notes"]


def _of_same_kind(earlier: Learned, learned: Learned, shared: Path) -> Learned:
    """The earlier run, its figures handed to the parts to come; nothing where it was of another GPU
    or other options.
    """
    if earlier.notes.get("gpu") != learned.notes.get("gpu") or earlier.options != learned.options:
        if earlier.sections:
            was = ", ".join([earlier.notes.get("gpu", "no GPU"), *earlier.options])
            learned.sections[FIRST].append(f"- left out: an earlier run of another kind ({was})")
        return Learned()
    learned.figures, learned.notes = (
        earlier.figures | learned.figures,
        earlier.notes | learned.notes,
    )
    shared.write_text(
        json.dumps({"figures": learned.figures, "notes": learned.notes}), encoding="utf-8"
    )
    return earlier


def _kept(earlier: Learned, learned: Learned, part: PartOfRecord) -> list[str]:
    """The part's lines; of another state of the code they say so."""
    lines, was = earlier.sections[part.title], earlier.notes.get("commit", "unknown")
    if was == learned.notes.get("commit", "unknown") or any(
        line.startswith("- kept from") for line in lines
    ):
        return lines
    return [*lines, f"- kept from an earlier run, commit {was}"]


def _section(title: str, learned: Learned) -> str:
    return "\n".join(["", f"## {title}", "", *learned.sections[title], ""])


def _text(parts: tuple[PartOfRecord, ...], learned: Learned) -> str:
    return "# GPU record\n" + "".join(
        _section(part.title, learned) for part in parts if part.title in learned.sections
    )


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks gpu`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--model", default=None, help="bundle; the shipped one by default")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument(
        "--minutes",
        type=float,
        default=30,
        help="time for all parts; what comes after it is not run",
    )
    parser.add_argument(
        "--record",
        type=Path,
        help="write the record to this Markdown file as well, and beside it FILE.json",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep what FILE.json holds of an earlier run on this GPU",
    )
    options = parser.parse_args(argv)
    if options.resume and options.record is None:
        parser.error(
            "--resume goes on with the record of an earlier run: give its --record FILE.md"
        )
    given = ["--repeats", str(options.repeats)] + (
        ["--model", options.model] if options.model else []
    )

    def write(text: str) -> None:
        if options.record:
            options.record.write_text(text, encoding="utf-8")

    state = options.record.with_suffix(".json") if options.record else None
    record(given, options.minutes, write, state=state, resume=options.resume)


if __name__ == "__main__":
    main()

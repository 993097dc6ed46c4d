"""What many videos cost: processes against threads, files and cores. `python -m benchmarks throughput
[--record FILE.md]`.

Each round analyzes every combination of files and workers once, in turn, as `faceaffect analyze
FOLDER --out PARTS` does; the files are copies of one clip. Workers are pinned to as many cores
as there are workers, so that a row stands for a machine of that size. Starting the workers
counts. Rows are the median round.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from faceaffect.batch import FileResult, Input, TaskSettings, find_inputs
from faceaffect.batch.file_analyzer import FileAnalyzer
from faceaffect.batch.file_task import installed_version
from faceaffect.batch.process_pool import ProcessPool
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.sources.source import SourceOptions

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = {
    "backend": "onnx",
    "device": "cpu",
    "threads": 1,
    "max_faces": 8,
    "min_face_size_px": 40,
}


@dataclass(frozen=True, slots=True)
class Ablation:
    """One run over all files: seconds of the clock, of the processor (all processes and threads),
    and of video.
    """

    wall_s: float
    cpu_s: float
    video_s: float
    frames: int


class Threads:
    """What the product does not do: one process, a pipeline per thread."""

    def __init__(self, settings: TaskSettings, jobs: int) -> None:
        self._settings, self._jobs = settings, jobs

    def run(self, tasks: Sequence[Input]) -> Iterator[FileResult]:
        shares = [tasks[number :: self._jobs] for number in range(self._jobs)]
        with ThreadPoolExecutor(self._jobs) as pool:
            for outcomes in pool.map(self._serve, shares):
                yield from outcomes

    def _serve(self, tasks: Sequence[Input]) -> list[FileResult]:
        analyzer = FileAnalyzer(self._settings)
        return [analyzer.analyze(task) for task in tasks]


RUNNERS: dict[str, type[ProcessPool] | type[Threads]] = {
    "processes": ProcessPool,
    "threads": Threads,
}


def try_once(kind: str, jobs: int, files: int, clip: Path, folder: Path) -> Ablation:
    """Raises RuntimeError where an input failed: a row must be of the whole work."""
    archive, parts = folder / "archive", folder / "parts"
    archive.mkdir()
    for number in range(files):
        (archive / f"{number}{clip.suffix}").symlink_to(clip.resolve())
    settings = TaskSettings(
        str(parts), "csv", None, PIPELINE, SourceOptions(), "auto", installed_version()
    )
    before_s, started_s = _processor_s(), time.perf_counter()
    outcomes = [
        one
        for one in RUNNERS[kind](settings, jobs).run(find_inputs([str(archive)]))
        if isinstance(one, FileResult)
    ]
    wall_s, cpu_s = time.perf_counter() - started_s, _processor_s() - before_s
    if errors := [one.error for one in outcomes if one.error]:
        raise RuntimeError(errors[0])
    return Ablation(
        wall_s, cpu_s, sum(one.video_s for one in outcomes), sum(one.frames for one in outcomes)
    )


def _processor_s() -> float:
    """Of this process and of its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def try_in_child(kind: str, jobs: int, files: int, clip: Path) -> Ablation:
    """In a new process on `jobs` cores, so that nothing of one trial reaches the next.

    Started anew and not forked: a fork beside running threads may wait for a lock that nobody
    holds any more.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_try_on_cores, kind, jobs, files, clip).result()


def _try_on_cores(kind: str, jobs: int, files: int, clip: Path) -> Ablation:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:jobs]))
    with tempfile.TemporaryDirectory() as folder:
        return try_once(kind, jobs, files, clip, Path(folder))


def measure(clip: Path, kinds: list[str], jobs: list[int], files: list[int], rounds: int) -> str:
    """All rounds, as Markdown."""
    watch = SystemLoadMonitor()
    keys = [(kind, count, number) for number in files for count in jobs for kind in kinds]
    trials: dict[tuple[str, int, int], list[Ablation]] = {key: [] for key in keys}
    for number in range(rounds):
        for key in keys[number % len(keys) :] + keys[: number % len(keys)]:
            trials[key].append(try_in_child(*key, clip))
            sys.stderr.write(f"round {number + 1} of {rounds}: {key[2]} files, {key[1]} {key[0]}\n")
    first = next(iter(trials.values()))[0]
    per_file = f"{first.video_s / files[0]:.1f} s, {first.frames // files[0]} frames"
    lines = [f"# Many files: {clip.name}, {per_file} each, {rounds} rounds", ""]
    lines += [f"- {name}: {fact}" for name, fact in describe_machine().items()]
    lines += [f"- others during the run: {'; '.join(watch.stop().warnings()) or 'quiet'}", ""]
    lines += [
        "Medians over the rounds, which alternate. Starting the workers, decoding and writing CSV count.",
        "",
    ]
    lines += [
        "| files | workers (one core each) | wall, s | processor, s | processor minutes per hour of video | frames a second |"
    ]
    lines += ["|---|---|---|---|---|---|"]
    for (kind, count, number), all_of in trials.items():
        wall_s, cpu_s = (
            statistics.median(getattr(one, name) for one in all_of) for name in ("wall_s", "cpu_s")
        )
        each = f"{cpu_s / 60 / (all_of[0].video_s / 3600):.2f} | {all_of[0].frames / wall_s:.0f}"
        lines.append(f"| {number} | {count} {kind} | {wall_s:.2f} | {cpu_s:.2f} | {each} |")
    return "\n".join([*lines, "", *growth(trials, kinds, jobs, files)]) + "\n"


def growth(
    trials: dict[tuple[str, int, int], list[Ablation]],
    kinds: list[str],
    jobs: list[int],
    files: list[int],
) -> list[str]:
    """Processor seconds as a fixed part per worker and one per hour of video (two points), and what
    more cores gave.
    """

    def median(name: str, key: tuple[str, int, int]) -> float:
        return statistics.median(getattr(one, name) for one in trials[key])

    lines = []
    few, many = min(files), max(files)
    for kind in kinds:
        for count in jobs if few < many else ():
            a, b = (kind, count, few), (kind, count, many)
            per_s = (median("cpu_s", b) - median("cpu_s", a)) / (
                trials[b][0].video_s - trials[a][0].video_s
            )
            start_s = (median("cpu_s", a) - per_s * trials[a][0].video_s) / count
            lines.append(
                f"- {count} {kind}: {60 * per_s:.1f} processor minutes per hour of video and {start_s:.2f} s per worker"
            )
        fewest, most = min(jobs), max(jobs)
        if fewest < most:
            gains = sorted(
                a.wall_s / b.wall_s
                for a, b in zip(trials[kind, fewest, many], trials[kind, most, many], strict=True)
            )
            spread = f"{gains[0]:.2f} to {gains[-1]:.2f}"
            gain = statistics.median(gains)
            lines.append(
                f"- {most} {kind} against {fewest}, {many} files: {gain:.2f} times as fast by the clock ({spread})"
            )
    return lines


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks throughput`."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m benchmarks throughput", description=__doc__)
    parser.add_argument("--clip", type=Path, default=ROOT / "assets" / "demo.mp4")
    parser.add_argument("--kind", action="append", choices=list(RUNNERS))
    parser.add_argument(
        "--jobs", type=int, action="append", help="again for more; without it 1 and all cores"
    )
    parser.add_argument(
        "--files", type=int, action="append", help="again for more; without it 2 and 8"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", type=Path, default=None)
    arguments = parser.parse_args(argv)
    jobs = sorted(set(arguments.jobs or [1, cores]))
    if jobs[0] < 1 or jobs[-1] > cores:
        parser.error(f"--jobs must be 1 to {cores}, the cores that may be used, got {jobs}")
    if not arguments.clip.is_file():
        parser.error(f"--clip must be a video file, got {arguments.clip}")
    text = measure(
        arguments.clip,
        arguments.kind or list(RUNNERS),
        jobs,
        sorted(set(arguments.files or [2, 8])),
        arguments.rounds,
    )
    sys.stdout.write(text)
    if arguments.record:
        arguments.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Throughput on many videos, by files and workers: `python -m benchmarks throughput`.

Each round analyzes every combination of files and workers once, as `faceaffect analyze FOLDER --out
PARTS` does; the files are copies of one clip. Workers are pinned to as many cores as there are
workers, so that a row represents a machine of that size. Starting the workers is included. Rows are
medians of rounds.
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
Key = tuple[str, int, int]
"""Kind of workers, their number, number of files."""

_COLUMNS = (
    "files",
    "workers (one core each)",
    "wall, s",
    "CPU, s",
    "CPU minutes per hour of video",
    "fps",
)
PIPELINE = {
    "backend": "onnx",
    "device": "cpu",
    "threads": 1,
    "max_faces": 8,
    "min_face_size_px": 40,
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run over all files: wall time, CPU time of all processes, and length of the videos."""

    wall_s: float
    cpu_s: float
    video_s: float
    frames: int


class ThreadWorkers:
    """One process with a pipeline per thread, as an alternative to the product's processes."""

    def __init__(self, settings: TaskSettings, jobs: int) -> None:
        self._settings = settings
        self._jobs = jobs

    def run(self, tasks: Sequence[Input]) -> Iterator[FileResult]:
        """Analyze the files, each thread every n-th one."""
        slices = [tasks[number :: self._jobs] for number in range(self._jobs)]
        with ThreadPoolExecutor(self._jobs) as pool:
            for results in pool.map(self._analyze, slices):
                yield from results

    def _analyze(self, tasks: Sequence[Input]) -> list[FileResult]:
        analyzer = FileAnalyzer(self._settings)
        return [analyzer.analyze(task) for task in tasks]


RUNNERS: dict[str, type[ProcessPool] | type[ThreadWorkers]] = {
    "processes": ProcessPool,
    "threads": ThreadWorkers,
}


def run_once(kind: str, jobs: int, files: int, clip: Path, folder: Path) -> Run:
    """Analyze `files` copies of a clip in this process.

    Raises:
        RuntimeError: A file failed.
    """
    archive = folder / "archive"
    parts = folder / "parts"
    archive.mkdir()
    for number in range(files):
        (archive / f"{number}{clip.suffix}").symlink_to(clip.resolve())
    settings = TaskSettings(
        str(parts), "csv", None, PIPELINE, SourceOptions(), "auto", installed_version()
    )
    cpu_begin_s = _cpu_s()
    wall_begin_s = time.perf_counter()
    results = [
        one
        for one in RUNNERS[kind](settings, jobs).run(find_inputs([str(archive)]).inputs)
        if isinstance(one, FileResult)
    ]
    wall_s = time.perf_counter() - wall_begin_s
    cpu_s = _cpu_s() - cpu_begin_s
    if errors := [one.error for one in results if one.error]:
        raise RuntimeError(errors[0])
    return Run(
        wall_s, cpu_s, sum(one.video_s for one in results), sum(one.frames for one in results)
    )


def _cpu_s() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def run_in_child(kind: str, jobs: int, files: int, clip: Path) -> Run:
    """Run in a new process on `jobs` cores, so that runs do not influence each other.

    It is spawned: a fork beside running threads may wait forever for a lock that one of them held.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run_on_cores, kind, jobs, files, clip).result()


def _run_on_cores(kind: str, jobs: int, files: int, clip: Path) -> Run:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:jobs]))
    with tempfile.TemporaryDirectory() as folder:
        return run_once(kind, jobs, files, clip, Path(folder))


def measure(clip: Path, kinds: list[str], jobs: list[int], files: list[int], rounds: int) -> str:
    """Run all rounds, and return the record."""
    load = SystemLoadMonitor()
    keys = [(kind, count, number) for number in files for count in jobs for kind in kinds]
    runs: dict[Key, list[Run]] = {key: [] for key in keys}
    for number in range(rounds):
        start = number % len(keys)  # the order rotates
        for kind, count, num_files in keys[start:] + keys[:start]:
            runs[kind, count, num_files].append(run_in_child(kind, count, num_files, clip))
            sys.stderr.write(f"round {number + 1} of {rounds}: {num_files} files, {count} {kind}\n")
    first = runs[keys[0]][0]
    per_file = f"{first.video_s / files[0]:.1f} s, {first.frames // files[0]} frames"
    lines = [
        f"# Many files: {clip.name}, {per_file} each, {rounds} rounds",
        "",
        *(f"- {name}: {fact}" for name, fact in describe_machine().items()),
        f"- load during the run: {'; '.join(load.stop().warnings()) or 'quiet'}",
        "",
        "Medians of interleaved rounds. Starting the workers, decoding and writing CSV are "
        "included.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    for (kind, count, num_files), one_runs in runs.items():
        wall_s = statistics.median(run.wall_s for run in one_runs)
        cpu_s = statistics.median(run.cpu_s for run in one_runs)
        video_hours = one_runs[0].video_s / 3600
        cells = (
            num_files,
            f"{count} {kind}",
            f"{wall_s:.2f}",
            f"{cpu_s:.2f}",
            f"{cpu_s / 60 / video_hours:.2f}",
            f"{one_runs[0].frames / wall_s:.0f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", *growth(runs, kinds, jobs, files)]) + "\n"


def growth(
    runs: dict[Key, list[Run]], kinds: list[str], jobs: list[int], files: list[int]
) -> list[str]:
    """Return CPU time per worker and per hour of video, by a line through two points; speedups."""
    lines = []
    few = min(files)
    many = max(files)
    for kind in kinds:
        for count in jobs if few < many else ():
            few_runs = runs[kind, count, few]
            many_runs = runs[kind, count, many]
            few_cpu_s = statistics.median(run.cpu_s for run in few_runs)
            many_cpu_s = statistics.median(run.cpu_s for run in many_runs)
            slope = (many_cpu_s - few_cpu_s) / (many_runs[0].video_s - few_runs[0].video_s)
            start_s = (few_cpu_s - slope * few_runs[0].video_s) / count
            lines.append(
                f"- {count} {kind}: {60 * slope:.1f} CPU minutes per hour of video and "
                f"{start_s:.2f} s per worker"
            )
        min_jobs = min(jobs)
        max_jobs = max(jobs)
        if min_jobs < max_jobs:
            pairs = zip(runs[kind, min_jobs, many], runs[kind, max_jobs, many], strict=True)
            speedups = sorted(slow.wall_s / fast.wall_s for slow, fast in pairs)
            lines.append(
                f"- {max_jobs} {kind} against {min_jobs}, {many} files: "
                f"{statistics.median(speedups):.2f} times as fast by wall clock "
                f"({speedups[0]:.2f} to {speedups[-1]:.2f})"
            )
    return lines


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks throughput`."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="python -m benchmarks throughput", description=__doc__)
    parser.add_argument("--clip", type=Path, default=ROOT / "assets" / "demo.mp4")
    parser.add_argument("--kind", action="append", choices=list(RUNNERS))
    parser.add_argument(
        "--jobs", type=int, action="append", help="may be repeated [default: 1 and all cores]"
    )
    parser.add_argument(
        "--files", type=int, action="append", help="may be repeated [default: 2 and 8]"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", type=Path, default=None)
    options = parser.parse_args(argv)
    jobs = sorted(set(options.jobs or [1, cores]))
    if jobs[0] < 1 or jobs[-1] > cores:
        parser.error(f"--jobs must be 1 to {cores}, the usable cores, got {jobs}")
    if not options.clip.is_file():
        parser.error(f"--clip must be a video file, got {options.clip}")
    text = measure(
        options.clip,
        options.kind or list(RUNNERS),
        jobs,
        sorted(set(options.files or [2, 8])),
        options.rounds,
    )
    sys.stdout.write(text)
    if options.record:
        options.record.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

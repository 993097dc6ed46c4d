"""CPU latency against its targets, on one pinned thread: `python -m benchmarks latency`.

Decoding is excluded, except where a line names a file. Times are CPU times, as medians of
interleaved rounds, which other work on the machine hardly disturbs. Only the speedup on two cores
and the latency behind a camera are wall clock: they are meaningless on a busy machine, and the
record then has a warning.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks import latency_measurements as measure
from benchmarks.baselines.baseline import BASELINES, find_files, interpreter
from benchmarks.baselines.make_environments import ENVIRONMENTS
from benchmarks.check import Check, at_most
from benchmarks.compare import make_job, offline_prefix, run_once
from benchmarks.file_to_row import FileBenchmark
from benchmarks.latency_measurements import SIZE, FileRun, Pass, PipelineConfig
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.bench.percentiles import Distribution
from faceaffect.bundle.bundle import open_bundle

ROOT: Final = Path(__file__).resolve().parents[1]
_LARGE: Final = (1920, 1080)
_PASS_FRAMES: Final = 240
_FILE_FRAMES: Final = 6000
_SHORT_FRAMES: Final = 30
_TWO_CORES: Final = "speedup on two cores, `faceaffect analyze` on a file, one process"
_TWO_CORES_TARGET: Final = "at least 1.8 times"
_NUM_FACES: Final = (1, 2, 4)
BUDGET_TITLE: Final = "Where the CPU time of a frame goes, from an H.264 file to its row (means):"
MEDIAPIPE: Final = next(
    baseline for baseline in BASELINES if baseline.name == "mediapipe_face_landmarker"
)


class LatencyBenchmark:
    """Runs the rounds, and checks their results against the targets."""

    def __init__(
        self,
        config: PipelineConfig,
        clip: str,
        rounds: int,
        folder: Path,
        environments: Path,
        weights: Path,
    ) -> None:
        self._config = config
        self._clip = clip
        self._weights = weights
        python = interpreter(MEDIAPIPE, environments)
        self._mediapipe_python = python if python.is_file() else None
        self._small = measure.read_clip(clip, SIZE)
        self._large = measure.read_clip(clip, _LARGE)
        self._tiles = {count: measure.tile_faces(clip, count, folder) for count in _NUM_FACES}
        self.runs: dict[str, list[Pass]] = {}
        self._mediapipe_ms: list[float] = []
        self._gemm_gflops: list[float] = []
        self._mediapipe_version = ""
        self._files = FileBenchmark(config, clip, folder)
        with config.open() as pipeline:
            self.pipeline_info = pipeline.describe()
        for _ in range(rounds):
            self._round()

    def _round(self) -> None:
        self._gemm_gflops.append(measure.gemm_gflops())
        self._run("small", self._small, _PASS_FRAMES)
        if self._mediapipe_python is not None:
            self._mediapipe_ms.append(float(np.median(self._run_mediapipe(self._clip, False))))
        self._files.run_round(
            None if self._mediapipe_python is None else lambda path: self._run_mediapipe(path, True)
        )
        self._run("large", self._large, _PASS_FRAMES)
        for count, frames in self._tiles.items():
            self._run(f"{count} faces", frames, 120)

    def _run_mediapipe(self, clip: str, times_decoding: bool) -> list[float]:
        """Return the CPU milliseconds of each frame."""
        assert self._mediapipe_python is not None
        job = make_job(clip, 0, None, "onnx") | {
            "files": find_files(MEDIAPIPE, self._weights),
            "times_decoding": times_decoding,
        }
        answer = run_once(MEDIAPIPE, self._mediapipe_python, job, offline_prefix())
        self._mediapipe_version = answer["versions"]["mediapipe"]
        return list(answer["ms"])

    def _run(self, name: str, frames: list[Any], count: int) -> None:
        run = measure.run_pass(self._config, frames, count)
        if not min(run.num_faces[len(run.num_faces) // 4 :]):
            raise ValueError(
                f"{name}: expected a face in every frame, got frames without; use another clip"
            )
        self.runs.setdefault(name, []).append(run)

    def median(self, name: str, metric: Callable[[Pass], float]) -> float:
        """Return the median of a metric over rounds."""
        return float(np.median([metric(run) for run in self.runs[name]]))

    def checks(self, growth_frames: int) -> list[Check]:
        """Check all targets; some are measured here, once.

        Args:
            growth_frames: Frames of the video for the checks of growth.
        """
        tracking_ms = self.median("small", Pass.tracking_ms)
        network_ms = self.median("small", lambda run: run.tracking_ms(run.stages["network"]))
        others_percent = 100 * (1 - network_ms / tracking_ms)
        detector_ms = self.median("small", measure.detector_cost)
        delays_s = measure.detection_delay_s(self._config, self._tiles[4])
        growth = measure.growth(self._config, self._small, growth_frames)
        duration = f"over {growth_frames / measure.FPS / 60:.1f} minutes of video"
        starts = [measure.cold_start(self._config, self._clip) for _ in range(3)]
        import_s, first_result_s = np.median(starts, axis=0).tolist()
        return [
            at_most("one tracked face", 0.75, tracking_ms, "ms"),
            self._mediapipe_check(tracking_ms),
            self._additional_face_check(),
            at_most("all stages but the network", 25, others_percent, "% of the frame", 0),
            at_most("face detector, averaged over all frames", 0.5, detector_ms, "ms a frame"),
            at_most("detection delay of a new face, worst of 8 at 30 fps", 0.3, max(delays_s), "s"),
            self._large_frame_check(),
            at_most(f"growth of time per frame {duration}", 2, 100 * growth.time, "%", 1),
            at_most(f"growth of memory {duration}", 2, 100 * growth.memory, "%", 1),
            at_most("import", 0.4, import_s, "s of CPU"),
            at_most("first result of a new process", 1.0, first_result_s, "s of CPU"),
            *self._files.checks(),
        ]

    def _additional_face_check(self) -> Check:
        names = [f"{count} faces" for count in _NUM_FACES]
        tracked = [self.median(name, lambda run: max(run.num_faces[-60:])) for name in names]
        tracking_ms = [self.median(name, Pass.tracking_ms) for name in names]
        per_face_ms = (tracking_ms[-1] - tracking_ms[0]) / max(1.0, tracked[-1] - tracked[0])
        return at_most(
            f"each additional face (of {tracked[-1]:.0f} tracked)", 0.45, per_face_ms, "ms"
        )

    def _large_frame_check(self) -> Check:
        """Check the median; the mean, which includes detector runs, is reported too."""

        def percent_more(statistic: Callable[[list[float]], float]) -> float:
            large, small = (
                self.median(name, lambda run: float(statistic(run.total[30:])))
                for name in ("large", "small")
            )
            return 100 * (large / small - 1)

        median = percent_more(np.median)
        mean = percent_more(np.mean)
        text = f"{median:.0f} % more (mean, with detector runs: {mean:.0f} % more)"
        return Check("1920x1080 instead of 640x360", "at most 15 % more", text, median <= 15)

    def _mediapipe_check(self, tracking_ms: float) -> Check:
        name = "MediaPipe FaceLandmarker in the same run"
        target = "at least 8 times faceaffect"
        if not self._mediapipe_ms:
            return Check(name, target, "not run (no environment; see make_environments)", None)
        mediapipe_ms = float(np.median(self._mediapipe_ms))
        ratio = mediapipe_ms / tracking_ms
        text = f"{mediapipe_ms:.2f} ms, {ratio:.1f} times ({self._mediapipe_version})"
        return Check(name, target, text, ratio >= 8)

    def budget_table(self) -> list[str]:
        """Return a Markdown table of where the time of a file's frame goes."""
        return self._files.budget_table()

    def notes(self) -> list[str]:
        """Return details for the record."""
        runs = self.runs["small"]
        all_ms = [ms for run in runs for ms in run.total[30:]]
        detect_ms = [
            ms
            for run in runs
            for ms, detect in zip(run.total[30:], run.stages["detect"][30:], strict=True)
            if detect
        ]
        stages = {
            name: self.median("small", lambda run, name=name: run.tracking_ms(run.stages[name]))  # type: ignore[misc]
            for name in runs[0].stages
        }
        spread = Distribution.from_rounds([all_ms])
        rounds = ", ".join(f"{run.tracking_ms():.2f}" for run in runs)
        stage_text = ", ".join(f"{name} {ms:.3f}" for name, ms in stages.items())
        operations = 2 * measure.network_macs(open_bundle(self._config.model).onnx)
        gops = operations / stages["network"] / 1e6
        gemm_gops = float(np.median(self._gemm_gflops))
        is_int8 = self.pipeline_info["precision"] == "int8"
        return [
            f"all frames after the first second: p50 {spread.p50:.2f}, p95 {spread.p95:.2f}, "
            f"p99 {spread.p99:.2f} ms; frames with detection: median "
            f"{np.median(detect_ms):.2f} ms, 1 in {len(all_ms) / max(1, len(detect_ms)):.0f}",
            f"one tracked face, by round: {rounds} ms",
            f"median of each stage: {stage_text} ms",
            f"network: {operations / 1e6:.0f} million operations in {stages['network']:.2f} ms are "
            f"{gops:.0f} GOP/s; float32 matrix products (NumPy, one thread) reach {gemm_gops:.0f} "
            f"GOP/s: {100 * gops / gemm_gops:.0f} %"
            + (" (more than 100 % is possible in int8)" if is_int8 else ""),
        ]


@dataclass(frozen=True, slots=True)
class MultiCoreRound:
    """Runs of one file.

    `one_core` is the mean of a run on each core, `one_process` and `two_processes` run on both
    cores, and `concurrent` are two independent runs with a core each, which bounds the speedup.
    """

    one_core: FileRun
    one_process: FileRun
    two_processes: FileRun
    concurrent: FileRun

    @property
    def speedup(self) -> float:
        """Speedup of one process with both cores."""
        return self.one_core.wall_s / self.one_process.wall_s

    @property
    def jobs_speedup(self) -> float:
        """Speedup of two processes."""
        return self.one_core.wall_s / self.two_processes.wall_s

    @property
    def max_speedup(self) -> float:
        """Speedup of work without anything shared."""
        return 2 * self.one_core.wall_s / self.concurrent.wall_s

    @property
    def is_valid(self) -> bool:
        """Whether every run took longer than the short file that was subtracted."""
        runs = (self.one_core, self.one_process, self.two_processes, self.concurrent)
        return min(run.wall_s for run in runs) > 0


def measure_two_cores(config: PipelineConfig, clip: str, folder: Path, rounds: int) -> Check:
    """Measure the wall-clock speedup of a file on two cores.

    The time of a short file is subtracted, which excludes loading. It is too short to be split, so
    starting a second process is included.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        return Check(_TWO_CORES, _TWO_CORES_TARGET, "not run (one core)", None)
    long = measure.write_clip(clip, _FILE_FRAMES, folder)
    short = measure.write_clip(clip, _SHORT_FRAMES, folder)

    def run(*core_sets: list[int], jobs: int = 1) -> FileRun:
        long_run = measure.run_files(config, long, core_sets, folder, jobs)
        return long_run - measure.run_files(config, short, core_sets, folder, jobs)

    measured = []
    for _ in range(rounds):
        first = run(cores[:1])
        one_process = run(cores)
        two_processes = run(cores, jobs=2)
        concurrent = run(cores[:1], cores[1:])
        second = run(cores[1:])
        one_core = FileRun(
            wall_s=(first.wall_s + second.wall_s) / 2,
            cpu_s=(first.cpu_s + second.cpu_s) / 2,
            analysis_s=(first.analysis_s + second.analysis_s) / 2,
        )
        measured.append(MultiCoreRound(one_core, one_process, two_processes, concurrent))
    return two_cores_check(measured)


def two_cores_check(rounds: list[MultiCoreRound]) -> Check:
    """Check the speedup of rounds whose seconds exclude those of a short file."""
    if not all(one.is_valid for one in rounds):
        text = "not measured: other work took longer than the file"
        return Check(_TWO_CORES, _TWO_CORES_TARGET, text, None)
    speedups = [one.speedup for one in rounds]
    speedup = float(np.median(speedups))
    jobs_speedup = float(np.median([one.jobs_speedup for one in rounds]))
    max_speedup = float(np.median([one.max_speedup for one in rounds]))
    fractions = [one.one_process.analysis_s / one.one_process.cpu_s for one in rounds]
    analysis_percent = 100 * np.median(fractions)
    text = (
        f"{speedup:.2f} times ({min(speedups):.2f} to {max(speedups):.2f}; "
        f"{_FILE_FRAMES - _SHORT_FRAMES} frames, median of {len(rounds)}), with "
        f"{analysis_percent:.0f} % of its CPU time in the analysis thread; `--jobs 2`: "
        f"{jobs_speedup:.2f} times; two concurrent runs on a core each: {max_speedup:.2f} times"
    )
    return Check(_TWO_CORES, _TWO_CORES_TARGET, text, speedup >= 1.8)


def as_markdown(title: str, facts: dict[str, str], checks: list[Check], notes: list[str]) -> str:
    """Format the record."""
    met_text = {True: "yes", False: "**no**", None: "-"}
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += ["| check | target | measured | met |", "|---|---|---|---|"]
    lines += [
        f"| {check.name} | {check.target} | {check.measured} | {met_text[check.is_met]} |"
        for check in checks
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the options."""
    shared = ROOT.parent / "shared"
    parser = argparse.ArgumentParser(prog="python -m benchmarks latency", description=__doc__)
    parser.add_argument("--clip", default=str(shared / "data/videos/pyfeat_single_face_smile.mp4"))
    parser.add_argument("--model", default=None)
    parser.add_argument("--backend", default="onnx")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--detector", default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="length of the video for checks of growth"
    )
    parser.add_argument(
        "--environments", type=Path, default=ENVIRONMENTS, help="made by make_environments"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=shared / "teachers",
        help="folder with face_landmarker.task",
    )
    parser.add_argument("--record", type=Path, default=None, help="folder for the record")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run `python -m benchmarks latency`."""
    options = parse(argv)
    cv2.setNumThreads(1)
    config = PipelineConfig(options.model, options.backend, options.precision, options.detector)
    load = SystemLoadMonitor()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        two_cores = measure_two_cores(config, options.clip, folder, min(3, options.rounds))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        benchmark = LatencyBenchmark(
            config, options.clip, options.rounds, folder, options.environments, options.weights
        )
        checks = [*benchmark.checks(round(60 * measure.FPS * options.minutes)), two_cores]
    facts = describe_machine() | benchmark.pipeline_info
    facts |= {"clip": Path(options.clip).name, "rounds": str(options.rounds)}
    notes = [*benchmark.notes(), *load.stop().warnings()]
    title = f"CPU latency targets: one pinned thread, {SIZE[0]}x{SIZE[1]}, without decoding"
    text = as_markdown(title, facts, checks, notes)
    text += f"\n{BUDGET_TITLE}\n\n" + "\n".join(benchmark.budget_table()) + "\n"
    sys.stdout.write(text)
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
        path = options.record / f"latency_{benchmark.pipeline_info['precision']}.md"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

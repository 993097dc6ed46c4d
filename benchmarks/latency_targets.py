"""The CPU path against its targets, on one pinned thread: `python -m benchmarks latency [--record
benchmarks/results]`.

Decoding is left out and times are of the processor, medians of rounds that take turns, so that
other work on the machine disturbs little; only the line of two cores goes by the clock, and is
worth nothing on a busy machine, which is said.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from benchmarks import latency_measurements as lines
from benchmarks.baselines.baseline import PEERS, find_files, interpreter
from benchmarks.baselines.make_environments import ENVIRONMENTS
from benchmarks.compare import make_job, offline_prefix, run_once
from benchmarks.latency_measurements import SIZE, FileRun, Pass, Setup
from faceaffect.bench.machine import describe_machine
from faceaffect.bench.machine_load import SystemLoadMonitor
from faceaffect.bench.percentiles import Distribution
from faceaffect.bundle.bundle import open_bundle

ROOT: Final = Path(__file__).resolve().parents[1]
_LARGE: Final = (1920, 1080)
_COUNT: Final = 240  # frames of a pass
_FILE_FRAMES: Final = 6000
_SHORT_FRAMES: Final = 30
_TWO_CORES: Final = "two cores over one, `faceaffect analyze --jobs 2` on a file"
_TWO_CORES_TARGET: Final = "at least 1.7 times"
_FACES: Final = (1, 2, 4)
MEDIAPIPE: Final = next(peer for peer in PEERS if peer.name == "mediapipe_face_landmarker")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table; `met` is None where nothing was measured."""

    what: str
    target: str
    measured: str
    met: bool | None


def _below(what: str, limit: float, value: float, unit: str, digits: int = 2) -> Line:
    return Line(what, f"at most {limit:g} {unit}", f"{value:.{digits}f} {unit}", value <= limit)


class Measurement:
    """All rounds, and the table made of them."""

    def __init__(
        self, setup: Setup, clip: str, rounds: int, folder: Path, peer: Path | None, weights: Path
    ) -> None:
        self._setup, self._clip, self._weights = setup, clip, weights
        self._peer = peer if peer is not None and interpreter(MEDIAPIPE, peer).is_file() else None
        self._small, self._large = lines.clip_at(clip, SIZE), lines.clip_at(clip, _LARGE)
        self._tiles = {faces: lines.tiled(clip, faces, folder) for faces in _FACES}
        self.runs: dict[str, list[Pass]] = {}
        self.peers: list[float] = []
        self.rates: list[float] = []
        self.peer_version = ""
        with setup.open() as pipeline:
            self.about = pipeline.describe()
        for _ in range(rounds):
            self._round()

    def _round(self) -> None:
        self.rates.append(lines.gemm_rate())
        self._run("small", self._small, _COUNT)
        if self._peer is not None:
            job = make_job(self._clip, 0, None, "onnx") | {
                "files": find_files(MEDIAPIPE, self._weights)
            }
            answer = run_once(MEDIAPIPE, interpreter(MEDIAPIPE, self._peer), job, offline_prefix())
            self.peer_version = answer["versions"]["mediapipe"]
            self.peers.append(float(np.median(answer["ms"])))
        self._run("large", self._large, _COUNT)
        for faces, frames in self._tiles.items():
            self._run(f"{faces} faces", frames, 120)

    def _run(self, name: str, frames: list[Any], count: int) -> None:
        run = lines.run_pass(self._setup, frames, count)
        if not min(run.faces[len(run.faces) // 4 :]):
            raise ValueError(
                f"{name}: a clip whose face is held all the time is wanted, it was lost"
            )
        self.runs.setdefault(name, []).append(run)

    def median(self, name: str, figure: Any) -> float:
        return float(np.median([figure(run) for run in self.runs[name]]))

    def table(self, minutes_frames: int) -> list[Line]:
        """Every line of the table; some are measured only now."""
        held = self.median("small", Pass.held)
        network = self.median("small", lambda run: run.held(run.stages["network"]))
        found = [_below("one face held", 1.5, held, "ms"), self._against_peer(held)]
        shown = [
            self.median(f"{faces} faces", lambda run: max(run.faces[-60:])) for faces in _FACES
        ]
        per_face = [self.median(f"{faces} faces", Pass.held) for faces in _FACES]
        further = (per_face[-1] - per_face[0]) / max(1.0, shown[-1] - shown[0])
        found.append(_below(f"each further face (of {shown[-1]:.0f} held)", 1.0, further, "ms"))
        found.append(
            _below(
                "everything but the network", 25, 100 * (1 - network / held), "% of the frame", 0
            )
        )
        found.append(
            _below(
                "looks for new faces, over all frames",
                0.5,
                self.median("small", lines.detector_cost),
                "ms a frame",
            )
        )
        delays = lines.detection_delay_s(self._setup, self._tiles[4])
        found.append(
            _below("a newcomer is found, worst of eight entries at 30 fps", 0.3, max(delays), "s")
        )
        found.append(self._large_frames())
        grown = lines.growth(self._setup, self._small, minutes_frames)
        about = f"{minutes_frames / lines.FPS / 60:.1f} minutes of video, growth of "
        found.append(_below(f"{about}time per frame", 2, 100 * grown.time, "%", 1))
        found.append(_below(f"{about}memory", 2, 100 * grown.memory, "%", 1))
        starts = np.median([lines.fresh_start(self._setup, self._clip) for _ in range(3)], axis=0)
        found.append(_below("import", 0.4, float(starts[0]), "s of CPU"))
        found.append(_below("first result of a new process", 1.0, float(starts[1]), "s of CPU"))
        return found

    def _large_frames(self) -> Line:
        """By the median, as all lines; the mean, which holds the rare dear looks, stands beside it."""

        def more(figure: Any) -> float:
            return 100 * (self.median("large", figure) / self.median("small", figure) - 1)

        median, mean = (more(lambda run, of=of: of(run.whole[30:])) for of in (np.median, np.mean))
        text = f"{median:.0f} % more (the mean, with looks, {mean:.0f} % more)"
        return Line("1920x1080 instead of 640x360", "at most 15 % more", text, median <= 15)

    def _against_peer(self, held: float) -> Line:
        what, target = "MediaPipe FaceLandmarker in the same run", "at least 8 times ours"
        if not self.peers:
            return Line(what, target, "not run (no environment; see make_environments)", None)
        theirs = float(np.median(self.peers))
        text = f"{theirs:.2f} ms, {theirs / held:.1f} times ours ({self.peer_version})"
        return Line(what, target, text, theirs >= 8 * held)

    def notes(self) -> list[str]:
        """What stands below the table."""
        every = [value for run in self.runs["small"] for value in run.whole[30:]]
        spread = Distribution.from_rounds([every])
        network = self.median("small", lambda run: run.held(run.stages["network"]))
        operations = 2 * lines.network_macs(open_bundle(self._setup.model).onnx)
        rate, reached = float(np.median(self.rates)), operations / network / 1e6
        stages = {
            name: self.median("small", lambda run, name=name: run.held(run.stages[name]))
            for name in self.runs["small"][0].stages
        }
        rounds = ", ".join(f"{run.held():.2f}" for run in self.runs["small"])
        looks = [
            v
            for run in self.runs["small"]
            for v, d in zip(run.whole[30:], run.stages["detect"][30:], strict=True)
            if d
        ]
        return [
            f"all frames after the first second: p50 {spread.p50:.2f}, p95 {spread.p95:.2f}, p99 {spread.p99:.2f} ms; "
            f"frames with a look: median {np.median(looks):.2f} ms, one in {len(every) / max(1, len(looks)):.0f}",
            f"one face held, by round: {rounds} ms",
            "median of each stage: "
            + ", ".join(f"{name} {value:.3f}" for name, value in stages.items())
            + " ms",
            f"the network: {operations / 1e6:.0f} million operations in {network:.2f} ms are {reached:.0f} billion a second; "
            f"float32 matrix products reach {rate:.0f} here (NumPy, one thread): {100 * reached / rate:.0f} %"
            + (
                " (more than 100 % is possible in int8)"
                if self.about["precision"] == "int8"
                else ""
            ),
        ]


@dataclass(frozen=True, slots=True)
class MultiCoreRound:
    """Of one file: on one core (each of the two once, so that neither's other work counts more); on
    both, by one process and shared out to two; and two runs at once with a core each, which is
    what the machine gives to work that shares nothing.
    """

    one: FileRun
    both: FileRun
    shared: FileRun
    apart: FileRun

    @property
    def gain(self) -> float:
        return self.one.wall_s / self.shared.wall_s

    @property
    def gain_of_threads(self) -> float:
        return self.one.wall_s / self.both.wall_s

    @property
    def most(self) -> float:
        return 2 * self.one.wall_s / self.apart.wall_s


def two_cores(setup: Setup, clip: str, folder: Path, rounds: int) -> Line:
    """Throughput of a file on two cores over that on one, by the clock.

    Loading is taken off by a short file, which is too short to be shared out: that two processes
    start counts.
    """
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        return Line(_TWO_CORES, _TWO_CORES_TARGET, "not run (one core)", None)
    long, short = (lines.file_of(clip, count, folder) for count in (_FILE_FRAMES, _SHORT_FRAMES))

    def spent(*shares: list[int], jobs: int = 1) -> FileRun:
        runs = (lines.run_files(setup, file, shares, folder, jobs) for file in (long, short))
        return next(runs) - next(runs)

    measured = []
    for _ in range(rounds):
        first, both, shared = spent(cores[:1]), spent(cores), spent(cores, jobs=2)
        apart, second = spent(cores[:1], cores[1:]), spent(cores[1:])
        one = FileRun(
            *(
                (getattr(first, name) + getattr(second, name)) / 2
                for name in ("wall_s", "cpu_s", "analyzing_s")
            )
        )
        measured.append(MultiCoreRound(one, both, shared, apart))
    return two_cores_line(measured)


def two_cores_line(rounds: list[MultiCoreRound]) -> Line:
    """The line of rounds whose seconds are those beyond a short file's."""
    if (
        min(part.wall_s for one in rounds for part in (one.one, one.both, one.shared, one.apart))
        <= 0
    ):
        return Line(
            _TWO_CORES,
            _TWO_CORES_TARGET,
            "not measured: other work took longer than the file",
            None,
        )
    gains = [one.gain for one in rounds]
    share = float(np.median([one.both.analyzing_s / one.both.cpu_s for one in rounds]))
    threads, most = (
        float(np.median([getattr(one, name) for one in rounds]))
        for name in ("gain_of_threads", "most")
    )
    text = (
        f"{np.median(gains):.2f} times ({min(gains):.2f} to {max(gains):.2f}; {_FILE_FRAMES - _SHORT_FRAMES} frames, median of "
        f"{len(gains)}); by one process {threads:.2f} times, whose thread that analyzes has {100 * share:.0f} % of the work; "
        f"two runs at once, a core each: {most:.2f} times"
    )
    return Line(_TWO_CORES, _TWO_CORES_TARGET, text, bool(np.median(gains) >= 1.7))


def as_markdown(title: str, facts: dict[str, str], table: list[Line], notes: list[str]) -> str:
    words = {True: "yes", False: "**no**", None: "-"}
    text = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    text += ["| what | target | measured | met |", "|---|---|---|---|"]
    text += [f"| {row.what} | {row.target} | {row.measured} | {words[row.met]} |" for row in table]
    return "\n".join([*text, "", *(f"- {note}" for note in notes)]) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m benchmarks latency`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks latency", description=__doc__)
    parser.add_argument(
        "--clip", default=str(ROOT.parent / "shared/data/videos/pyfeat_single_face_smile.mp4")
    )
    parser.add_argument("--model", default=None)
    parser.add_argument("--backend", default="onnx")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--detector", default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="of video for the line of growth"
    )
    parser.add_argument(
        "--environments", type=Path, default=ENVIRONMENTS, help="of make_environments"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=ROOT.parent / "shared/teachers",
        help="where face_landmarker.task is",
    )
    parser.add_argument("--record", type=Path, default=None, help="folder for the record")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)
    setup = Setup(arguments.model, arguments.backend, arguments.precision, arguments.detector)
    load = SystemLoadMonitor()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cores = two_cores(setup, arguments.clip, folder, min(3, arguments.rounds))
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        places = (arguments.environments, arguments.weights)
        measurement = Measurement(setup, arguments.clip, arguments.rounds, folder, *places)
        table = measurement.table(round(60 * lines.FPS * arguments.minutes))
    facts = (
        describe_machine()
        | measurement.about
        | {"clip": Path(arguments.clip).name, "rounds": str(arguments.rounds)}
    )
    notes = [*measurement.notes(), *load.stop().warnings()]
    title = f"The CPU path against its targets: one pinned thread, {SIZE[0]}x{SIZE[1]}, decoding left out"
    text = as_markdown(title, facts, [*table, cores], notes)
    sys.stdout.write(text)
    if arguments.record:
        arguments.record.mkdir(parents=True, exist_ok=True)
        (arguments.record / f"latency_{measurement.about['precision']}.md").write_text(
            text, encoding="utf-8"
        )


if __name__ == "__main__":
    main()

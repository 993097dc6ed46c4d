"""Times every stage of every frame, over frames in memory, on every clock."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from faceaffect.bench.cuda_driver import CudaDriver, EventClock
from faceaffect.bench.energy import EnergyMeter
from faceaffect.bench.workload import max_frames_in_memory, play_frames
from faceaffect.pipeline import Pipeline
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.sink import OverwritePolicy, Sink, SinkOptions
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU, STAGES, WALL, Clock, HostClock
from faceaffect.types import Frame

TOTAL: Final = "total"  # of Pipeline.analyze: all stages but decode and write
DECODE: Final = "decode"
WRITE: Final = "write"
ALL_STAGES: Final[tuple[str, ...]] = (
    DECODE,
    "detect",
    *(stage for stage in STAGES if stage != "detect"),
    WRITE,
)

Clocks = dict[str, dict[str, list[float]]]
"""Milliseconds per frame, by clock and stage."""


class Span(NamedTuple):
    """A stage of one frame by the wall clock, in microseconds from the first frame of its pass."""

    stage: str
    stream: int
    frame: int
    begin_us: float
    duration_us: float


@dataclass(slots=True)
class StageRound:
    """Samples of one round.

    `throughput_fps` is that of all streams together, `cpu_ms` the CPU time of all threads per
    frame, `detector_runs` the number of frames in which the detector ran. `energy_mj` is the energy
    per frame of what `energy_source` covers, idle power included; None if it cannot be read.
    `spans` are those of the wall clock's pass if a trace was asked for.
    """

    clocks: Clocks = field(default_factory=dict)
    throughput_fps: float = 0.0
    cpu_ms: float = 0.0
    mean_faces: float = 0.0
    detector_runs: int = 0
    energy_mj: float | None = None
    energy_source: str = ""
    spans: list[Span] = field(default_factory=list)


def time_decoding(path: str, count: int) -> tuple[list[Frame], Clocks]:
    """Decode the first frames of a video: at most `count`, or as many as fit in memory.

    Returns:
        The frames, and for each the time since the previous one: decoding, and passing it from
        the decoding thread.
    """
    frames, wall_ms = _decode(path, count, WALL)
    _, cpu_ms = _decode(path, count, CPU)
    return frames, {WALL.name: {DECODE: wall_ms}, CPU.name: {DECODE: cpu_ms}}


def _decode(path: str, count: int, timer: HostClock) -> tuple[list[Frame], list[float]]:
    frames: list[Frame] = []
    marks = [timer.now()]
    with open_source(path) as source:
        for frame in source:
            marks.append(timer.now())
            frames.append(frame)
            if len(frames) >= max_frames_in_memory(frame, count):
                break
    return frames, [ns / 1e6 for ns in timer.intervals_ns(marks)]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Frames to measure.

    `frames` are played at `fps` of their timestamps: `warmup` unmeasured ones, then `count`. Rows
    are written to files in `folder`.
    """

    frames: list[Frame]
    count: int
    warmup: int
    fps: float
    folder: Path
    device: str = "cpu"
    keeps_spans: bool = False


def measure_stages(pipelines: Sequence[Pipeline], plan: StagePlan) -> StageRound:
    """Analyze the frames in each pipeline, in one thread each, and write their rows.

    There is one pass per clock: reading the CPU clock is a system call, at which a busy machine
    preempts the thread, and the wall clock would attribute that to the next stage. The CPU clock
    includes all threads, so with several streams only its total per frame is kept.
    """
    with EnergyMeter() as energy:
        wall = _run_pass(pipelines, plan, WALL.name)
    passes = [wall]
    if len(pipelines) == 1:
        passes.append(_run_pass(pipelines, plan, CPU.name))
    if plan.device.startswith("cuda"):
        passes.append(_run_pass(pipelines, plan, EventClock.name))
    clocks: Clocks = {}
    for streams in passes:
        for name in streams[0].samples:
            parts = [stream.samples[name] for stream in streams]
            clocks[name] = {
                stage: [ms for part in parts for ms in part[stage]] for stage in parts[0]
            }
    wall_ns, cpu_ns = (
        max(stream.end[k] for stream in wall) - min(stream.begin[k] for stream in wall)
        for k in (0, 1)
    )
    frames = plan.count * len(wall)
    all_frames = (plan.warmup + plan.count) * len(wall)
    return StageRound(
        clocks=clocks,
        throughput_fps=1e9 * frames / wall_ns,
        cpu_ms=cpu_ns / 1e6 / frames,
        mean_faces=sum(stream.num_faces for stream in wall) / frames,
        detector_runs=sum(stream.detector_runs for stream in wall),
        energy_mj=None if energy.joules is None else 1e3 * energy.joules / all_frames,
        energy_source=energy.source,
        spans=_spans(wall) if plan.keeps_spans else [],
    )


def _spans(streams: Sequence[_Stream]) -> list[Span]:
    first_ns = min(stream.begin[0] for stream in streams)
    return [
        Span(stage, stream.number, frame, (begin_ns - first_ns) / 1e3, (end_ns - begin_ns) / 1e3)
        for stream in streams
        for frame, times in enumerate(stream.spans_ns)
        for stage, begin_ns, end_ns in times
    ]


def _run_pass(pipelines: Sequence[Pipeline], plan: StagePlan, clock: str) -> list[_Stream]:
    start = threading.Barrier(len(pipelines))
    stop = threading.Event()
    streams = [
        _Stream(number, pipeline, plan, clock, (start, stop))
        for number, pipeline in enumerate(pipelines)
    ]
    if len(streams) == 1:
        streams[0].run()
    else:
        threads = [threading.Thread(target=stream.run, daemon=True) for stream in streams]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:  # Ctrl-C
            stop.set()
            raise
    errors = [stream.error for stream in streams if stream.error is not None]
    if errors:  # a broken barrier is only a consequence of another error
        raise next(
            (error for error in errors if not isinstance(error, threading.BrokenBarrierError)),
            errors[0],
        )
    return streams


class _Stream:
    """Analyzes frames with one pipeline, in one thread, on one clock."""

    def __init__(
        self,
        number: int,
        pipeline: Pipeline,
        plan: StagePlan,
        clock: str,
        signals: tuple[threading.Barrier, threading.Event],
    ) -> None:
        self.number = number
        self._pipeline = pipeline
        self._plan = plan
        self._clock = clock
        self._rows = plan.folder / f"stream{number}.csv"
        self._start, self._stop = signals
        self._stage_ns: list[dict[str, int]] = []
        self._write_ns: list[int] = []
        self.samples: Clocks = {}
        self.spans_ns: list[list[tuple[str, int, int]]] = []
        self.num_faces = 0
        self.detector_runs = 0
        self.begin = (0, 0)
        self.end = (0, 0)
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._run()
            self._collect_samples()
        except BaseException as error:  # reraised by the caller
            self.error = error
            self._start.abort()

    def _timer(self) -> Clock:
        if self._clock == EventClock.name:
            return EventClock(CudaDriver(self._plan.device), self._pipeline.cuda_stream)
        return CPU if self._clock == CPU.name else WALL

    def _run(self) -> None:
        pipeline = self._pipeline
        plan = self._plan
        timer = self._timer()
        host = CPU if self._clock == CPU.name else WALL
        pipeline.reset()
        frames = play_frames(plan.frames, plan.warmup + plan.count, plan.fps)
        with open_sink(self._rows, SinkOptions(OverwritePolicy.OVERWRITE)) as sink:
            for _ in range(plan.warmup):
                frame = next(frames)
                sink.write(frame, *pipeline.analyze(frame))
            pipeline.stage_timer.enable(timer)
            try:
                self._start.wait()
                self.begin = (WALL.now(), CPU.now())
                for frame in frames:
                    self._measure(frame, sink, host)
                    if self._stop.is_set():
                        break
                self.end = (WALL.now(), CPU.now())
            finally:
                pipeline.stage_timer.enable()

    def _measure(self, frame: Frame, sink: Sink, host: HostClock) -> None:
        faces, affect = self._pipeline.analyze(frame)
        begin_ns = host.now()
        sink.write(frame, faces, affect)
        end_ns = host.now()
        self._write_ns.append(end_ns - begin_ns)
        timer = self._pipeline.stage_timer
        self._stage_ns.append(timer.elapsed_ns[self._clock])
        if self._plan.keeps_spans and self._clock == WALL.name:
            self.spans_ns.append([*timer.spans(), (WRITE, begin_ns, end_ns)])
        self.num_faces += len(faces)

    def _collect_samples(self) -> None:
        """Convert to milliseconds, after the pass so that it costs no measured time."""
        samples = {stage: [times[stage] / 1e6 for times in self._stage_ns] for stage in STAGES}
        samples[TOTAL] = [sum(times.values()) / 1e6 for times in self._stage_ns]
        if self._clock != EventClock.name:
            samples[WRITE] = [ns / 1e6 for ns in self._write_ns]
        self.samples = {self._clock: samples}
        self.detector_runs = sum(times["detect"] > 0 for times in self._stage_ns)

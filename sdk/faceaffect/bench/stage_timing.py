"""One round over frames in memory: every stage of every frame, on every clock."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faceaffect.bench.cuda_driver import CudaDriver, EventTimer
from faceaffect.bench.workload import fitting_count, play
from faceaffect.pipeline import Pipeline
from faceaffect.sinks.open_sink import open_sink
from faceaffect.sinks.sink import OverwritePolicy, Sink, SinkOptions
from faceaffect.sources import open_source
from faceaffect.system.stage_timer import CPU, STAGES, WALL, Clock, HostClock
from faceaffect.types import Frame

TOTAL: Final = "whole"  # Pipeline.analyze: every stage but decode and write
DECODE: Final = "decode"
WRITE: Final = "write"
ALL_STAGES: Final[tuple[str, ...]] = (
    DECODE,
    "detect",
    *(stage for stage in STAGES if stage != "detect"),
    WRITE,
)

Clocks = dict[str, dict[str, list[float]]]
"""Milliseconds of each frame, by clock and stage."""


@dataclass(slots=True)
class StageRound:
    """`fps` is frames a second of all streams together, `cpu_ms` processor time per frame of all
    threads.
    """

    clocks: Clocks = field(default_factory=dict)
    fps: float = 0.0
    cpu_ms: float = 0.0
    faces: float = 0.0
    """Mean number of faces in a frame."""
    looks: int = 0
    """Frames in which the detector ran."""


def time_decoding(path: str, count: int) -> tuple[list[Frame], Clocks]:
    """The first frames of a video, each timed from the one before: decoding, and the hand-over
    between threads.

    At most `count`, or as many as may be held in memory.
    """
    frames, wall_ms = _decode(path, count, WALL)
    _, cpu_ms = _decode(path, count, CPU)
    return frames, {WALL.name: {DECODE: wall_ms}, CPU.name: {DECODE: cpu_ms}}


def _decode(path: str, count: int, timer: HostClock) -> tuple[list[Frame], list[float]]:
    frames, marks = list[Frame](), [timer.now()]
    with open_source(path) as source:
        for frame in source:
            marks.append(timer.now())
            frames.append(frame)
            if len(frames) >= fitting_count(frame, count):
                break
    return frames, [ns / 1e6 for ns in timer.intervals_ns(marks)]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Frames in memory, of which `count` are measured at `fps` of their own clock, after `warmup`
    more; rows go into files in `folder`.
    """

    frames: list[Frame]
    count: int
    warmup: int
    fps: float
    folder: Path
    device: str = "cpu"


def measure_stages(pipelines: Sequence[Pipeline], plan: StagePlan) -> StageRound:
    """Analyze the frames in each pipeline, one thread each, and write their rows; once for each
    clock.

    Every clock has a pass of its own: reading the processor clock is a system call, and a busy
    machine takes the core away at just such a point, which the wall clock would then find in
    whatever stage comes next. The processor clock sees all threads, so with several streams only
    its total per frame is kept.
    """
    wall = _run_pass(pipelines, plan, WALL.name)
    passes = [wall]
    if len(pipelines) == 1:
        passes.append(_run_pass(pipelines, plan, CPU.name))
    if plan.device.startswith("cuda"):
        passes.append(_run_pass(pipelines, plan, EventTimer.name))
    clocks: Clocks = {}
    for streams in passes:
        for name in streams[0].samples:
            parts = [stream.samples[name] for stream in streams]
            clocks[name] = {
                stage: [ms for part in parts for ms in part[stage]] for stage in parts[0]
            }
    wall_ns, cpu_ns = (
        max(s.ended[i] for s in wall) - min(s.began[i] for s in wall) for i in (0, 1)
    )
    total = plan.count * len(wall)
    return StageRound(
        clocks=clocks,
        fps=1e9 * total / wall_ns,
        cpu_ms=cpu_ns / 1e6 / total,
        faces=sum(stream.faces for stream in wall) / total,
        looks=sum(stream.looks for stream in wall),
    )


def _run_pass(pipelines: Sequence[Pipeline], plan: StagePlan, clock: str) -> list[_Stream]:
    start, stop = threading.Barrier(len(pipelines)), threading.Event()
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
    if errors:  # of which a broken barrier is only the echo
        raise next(
            (error for error in errors if not isinstance(error, threading.BrokenBarrierError)),
            errors[0],
        )
    return streams


class _Stream:
    """One pipeline and its frames, in one thread, on one clock."""

    def __init__(
        self,
        number: int,
        pipeline: Pipeline,
        plan: StagePlan,
        clock: str,
        signals: tuple[threading.Barrier, threading.Event],
    ) -> None:
        self._pipeline, self._plan, self._clock = pipeline, plan, clock
        self._rows = plan.folder / f"stream{number}.csv"
        self._start, self._stop = signals
        self._spent: list[dict[str, int]] = []
        self._written: list[int] = []
        self.samples: Clocks = {}
        self.faces = self.looks = 0
        self.began = self.ended = (0, 0)
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._run()
            self._add_up()
        except BaseException as error:  # raised again by the caller
            self.error = error
            self._start.abort()

    def _timer(self) -> Clock:
        if self._clock == EventTimer.name:
            return EventTimer(CudaDriver(self._plan.device), self._pipeline.cuda_stream)
        return CPU if self._clock == CPU.name else WALL

    def _run(self) -> None:
        pipeline, plan, timer = self._pipeline, self._plan, self._timer()
        host = CPU if self._clock == CPU.name else WALL
        pipeline.reset()
        playing = play(plan.frames, plan.warmup + plan.count, plan.fps)
        with open_sink(self._rows, SinkOptions(OverwritePolicy.OVERWRITE)) as sink:
            for _ in range(plan.warmup):
                frame = next(playing)
                sink.write(frame, *pipeline.analyze(frame))
            pipeline.stage_timer.enable(timer)
            try:
                self._start.wait()
                self.began = (WALL.now(), CPU.now())
                for frame in playing:
                    self._measure(frame, sink, host)
                    if self._stop.is_set():
                        break
                self.ended = (WALL.now(), CPU.now())
            finally:
                pipeline.stage_timer.enable()

    def _measure(self, frame: Frame, sink: Sink, host: HostClock) -> None:
        faces, affect = self._pipeline.analyze(frame)
        before = host.now()
        sink.write(frame, faces, affect)
        self._written.append(host.now() - before)
        self._spent.append(self._pipeline.stage_timer.elapsed_ns[self._clock])
        self.faces += len(faces)

    def _add_up(self) -> None:
        """Afterwards, so that it costs no measured time."""
        samples = {stage: [spent[stage] / 1e6 for spent in self._spent] for stage in STAGES}
        samples[TOTAL] = [sum(spent.values()) / 1e6 for spent in self._spent]
        if self._clock != EventTimer.name:
            samples[WRITE] = [ns / 1e6 for ns in self._written]
        self.samples = {self._clock: samples}
        self.looks = sum(spent["detect"] > 0 for spent in self._spent)

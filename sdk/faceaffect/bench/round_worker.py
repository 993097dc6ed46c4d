"""Runs one round of one configuration in a new process.

Rounds of one process share its memory layout, which alone changes speed by a few per cent. Rounds
of separate processes do not, so their spread includes that of restarting.

`python -m faceaffect.bench.round_worker` reads a `RoundRequest` as JSON from standard input and
answers with lines of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RoundRequest:
    """Parameters of one round.

    `configuration` is JSON; `camera_fps` are the rates of simulated cameras of `camera_s` seconds
    each; the process is pinned to `cores`, if there are any. With `slo`, such as `p99=10ms`, the
    highest frame rate within this bound is searched for. `keeps_spans` is whether the round holds
    the times of every stage of every frame.
    """

    configuration: dict[str, Any]
    video: str
    fps: float
    frames: int
    warmup: int
    camera_fps: list[float]
    camera_s: float
    folder: str
    cores: list[int]
    slo: str = ""
    keeps_spans: bool = False


def run_round(request: RoundRequest, on_progress: Callable[[str], None]) -> dict[str, Any]:
    """Run a round in a new process.

    Args:
        request: What to measure.
        on_progress: Called with the name of each step.

    Returns:
        The round as JSON, see `record.Round`.

    Raises:
        BenchError: The process failed; the message is its error.
    """
    from faceaffect.bench.configuration import BenchError

    # The child must import this very package, even if sys.path was changed at run time.
    roots = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    message: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "faceaffect.bench.round_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            started_ns = time.perf_counter_ns()
            process.stdin.write(json.dumps({**asdict(request), "started_ns": started_ns}) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                if "step" in message:
                    on_progress(message["step"])
            code = process.wait()
        except BaseException:  # Ctrl-C: the result is not needed any more
            process.kill()
            raise
        if "round" in message and code == 0:
            result: dict[str, Any] = message["round"]
            return result
        stderr.seek(0)
        lines = stderr.read().strip().splitlines() or [f"exit code {code}"]
        raise BenchError(
            f"the process that measures {request.video} failed: {message.get('error') or lines[-1]}"
        )


def main() -> None:
    """Run the round requested on standard input."""
    request = json.loads(sys.stdin.readline())
    started_ns = request.pop("started_ns")
    try:
        _send(round=_run(RoundRequest(**request), started_ns))
    except Exception as error:
        is_ours = type(error).__module__.startswith("faceaffect.")
        _send(error=str(error) if is_ours else f"{type(error).__name__}: {error}")
        sys.exit(1)


def _send(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def _run(request: RoundRequest, started_ns: int) -> dict[str, Any]:
    if request.cores:
        os.sched_setaffinity(0, request.cores)
    before_import = (time.perf_counter_ns(), time.process_time_ns())
    from faceaffect import open_pipeline, open_source  # noqa: F401  # imports of a minimal program

    after_import = (time.perf_counter_ns(), time.process_time_ns())
    from contextlib import ExitStack

    from faceaffect.bench.cold_start import ColdStartMonitor
    from faceaffect.bench.configuration import Configuration

    _send(step="cold start")
    configuration = Configuration.from_json(request.configuration)
    monitor = ColdStartMonitor(started_ns, before_import, after_import, configuration)
    rows = Path(request.folder) / "cold_start.csv"
    with ExitStack() as stack:
        with open_source(request.video) as source:
            pipelines = [stack.enter_context(configuration.open())]
            cold_start = monitor.analyze(pipelines[0], source, request.frames, rows)
        for _ in range(1, configuration.streams):
            pipelines.append(stack.enter_context(configuration.open()))
        return {
            "cold_start": asdict(cold_start),
            **_measure(request, pipelines, configuration.threads),
        }


def _measure(request: RoundRequest, pipelines: list[Any], threads: int) -> dict[str, Any]:
    from faceaffect.bench.reference_workload import time_reference_workload
    from faceaffect.bench.simulated_camera import measure_cameras
    from faceaffect.bench.stage_timing import StagePlan, measure_stages, time_decoding
    from faceaffect.system.import_opencv import import_opencv

    _send(step="stages")
    import_opencv().setNumThreads(threads)
    reference_ms = time_reference_workload()
    frames, decoding = time_decoding(request.video, request.frames)
    plan = StagePlan(
        frames=frames,
        count=request.frames,
        warmup=request.warmup,
        fps=request.fps,
        folder=Path(request.folder),
        device=pipelines[0].describe()["device"],
        keeps_spans=request.keeps_spans,
    )
    stages = measure_stages(pipelines, plan)
    for clock, decode_ms in decoding.items():
        if clock in stages.clocks:
            stages.clocks[clock] = {**decode_ms, **stages.clocks[clock]}
    cameras = {}
    for fps in request.camera_fps:
        _send(step=f"camera at {fps:g} fps")
        count = max(1, round(request.camera_s * fps))
        cameras[f"{fps:g}"] = asdict(measure_cameras(pipelines, frames, fps, count, request.warmup))
    return {
        "stages": asdict(stages),
        "camera": cameras,
        "reference_ms": reference_ms,
        "bounded_fps": _bounded_fps(request, pipelines, frames) if request.slo else None,
    }


def _bounded_fps(request: RoundRequest, pipelines: list[Any], frames: list[Any]) -> float:
    from faceaffect.bench.latency_bound import LatencyBound, highest_frame_rate
    from faceaffect.bench.simulated_camera import CameraRound, measure_cameras

    bound = LatencyBound.parse(request.slo)

    def measure(fps: float) -> CameraRound:
        _send(step=f"{bound}, camera at {fps:.0f} fps")
        count = max(bound.min_frames, round(request.camera_s * fps))
        return measure_cameras(pipelines, frames, fps, count, request.warmup)

    return highest_frame_rate(bound, measure)


if __name__ == "__main__":
    main()

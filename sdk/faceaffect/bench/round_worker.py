"""One round of one configuration in a process of its own.

Rounds of one process share where its memory happens to lie, and with it a few per cent of speed;
rounds of processes of their own do not, so that their spread is the spread of starting again.

Run as `python -m faceaffect.bench.round_worker` with an order as JSON on standard input; answers
with lines of JSON.
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
class Order:
    """What the process is to do; `configuration` as JSON, `live_fps` the rates of cameras of
    `live_s` seconds each.
    """

    configuration: dict[str, Any]
    video: str
    fps: float
    frames: int
    warmup: int
    live_fps: list[float]
    live_s: float
    folder: str
    cores: list[int]
    """Where to run; empty: anywhere."""


def run_round(order: Order, progress: Callable[[str], None]) -> dict[str, Any]:
    """The round as JSON (see `record.Round`). Raises BenchError with what went wrong there."""
    from faceaffect.bench.configuration import BenchError

    # The very package that runs here, also where it was found in a way that a child does not
    # inherit.
    roots = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    command = [sys.executable, "-m", "faceaffect.bench.round_worker"]
    answer: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        ) as process,
    ):
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(
                json.dumps({**asdict(order), "started_ns": time.perf_counter_ns()}) + "\n"
            )
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if "begins" in answer:
                    progress(answer["begins"])
            code = process.wait()
        except BaseException:  # Ctrl-C: nobody is left to hear the answer
            process.kill()
            raise
        if "round" in answer and code == 0:
            found: dict[str, Any] = answer["round"]
            return found
        errors.seek(0)
        told = (
            answer.get("error")
            or (errors.read().strip().splitlines() or [f"it ended with code {code}"])[-1]
        )
        raise BenchError(f"the process that measures {order.video} failed: {told}")


def main() -> None:
    """The other side: carry out the order that comes in."""
    order = json.loads(sys.stdin.readline())
    started_ns = order.pop("started_ns")
    try:
        _answer(round=_carry_out(Order(**order), started_ns))
    except Exception as error:
        _answer(
            error=str(error)
            if type(error).__module__.startswith("faceaffect.")
            else f"{type(error).__name__}: {error}"
        )
        sys.exit(1)


def _answer(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def _carry_out(order: Order, started_ns: int) -> dict[str, Any]:
    if order.cores:
        os.sched_setaffinity(0, order.cores)
    began = (time.perf_counter_ns(), time.process_time_ns())
    from faceaffect import open_pipeline, open_source  # noqa: F401  # what a program of three lines imports

    imported = (time.perf_counter_ns(), time.process_time_ns())
    from contextlib import ExitStack

    from faceaffect.bench.cold_start import FreshWatch
    from faceaffect.bench.configuration import Configuration

    _answer(begins="fresh start")
    configuration = Configuration.from_json(order.configuration)
    watch = FreshWatch(started_ns, began, imported, configuration)
    with ExitStack() as stack:
        with open_source(order.video) as source:
            pipelines = [stack.enter_context(configuration.open())]
            fresh = watch.analyze(
                pipelines[0], source, order.frames, Path(order.folder) / "fresh.csv"
            )
        pipelines += [
            stack.enter_context(configuration.open()) for _ in range(1, configuration.streams)
        ]
        return {"fresh": asdict(fresh), **_measure(order, pipelines, configuration.threads)}


def _measure(order: Order, pipelines: list[Any], threads: int) -> dict[str, Any]:
    from faceaffect.bench.reference_workload import time_reference
    from faceaffect.bench.simulated_camera import measure_cameras
    from faceaffect.bench.stage_timing import StagePlan, measure_stages, time_decoding
    from faceaffect.sources.import_opencv import import_opencv

    _answer(begins="stages")
    import_opencv().setNumThreads(threads)
    reference_ms = time_reference()
    frames, decoding = time_decoding(order.video, order.frames)
    device = pipelines[0].describe()["device"]
    plan = StagePlan(frames, order.frames, order.warmup, order.fps, Path(order.folder), device)
    stages = measure_stages(pipelines, plan)
    for clock, spent in decoding.items():
        if clock in stages.clocks:
            stages.clocks[clock] = {**spent, **stages.clocks[clock]}
    live = {}
    for fps in order.live_fps:
        _answer(begins=f"camera at {fps:g} fps")
        count = max(1, round(order.live_s * fps))
        live[f"{fps:g}"] = asdict(measure_cameras(pipelines, frames, fps, count, order.warmup))
    return {"stages": asdict(stages), "live": live, "reference_ms": reference_ms}


if __name__ == "__main__":
    main()

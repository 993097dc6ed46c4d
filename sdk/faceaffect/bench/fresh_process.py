"""What a new process costs: import, first result, memory, and a file from its first frame to its last row.

Run as `python -m faceaffect.bench.fresh_process`, with what to do as JSON on standard input; prints a JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class FreshRun:
    """Seconds count from the start of the process, but `import_*` which is the import of faceaffect's parts alone.

    `file_*` are about all frames of the file but the first, decoding, analysis and writing overlapped.
    """

    import_wall_s: float
    import_cpu_s: float
    first_wall_s: float
    first_cpu_s: float
    file_fps: float
    file_cpu_ms: float
    """Processor time of all threads per frame."""
    host_peak_mb: float
    device_peak_mb: float | None
    """What the GPU lost to everybody while this ran; None without a GPU."""


def run_fresh(configuration: dict[str, Any], video: str, frames: int, rows: Path) -> FreshRun:
    """Measure a configuration (as JSON) over the first frames of a video in a process of its own. Raises BenchError."""
    from faceaffect.bench.configuration import BenchError

    order = {
        "configuration": configuration,
        "video": video,
        "frames": frames,
        "rows": str(rows),
        "started_ns": time.perf_counter_ns(),
    }
    command = [sys.executable, "-m", "faceaffect.bench.fresh_process"]
    # The very package that runs here, also where it was found in a way that a child does not inherit.
    roots = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BenchError(f"the fresh process for {video} ended with code {done.returncode}: {last}")
    return FreshRun(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    order = json.loads(sys.stdin.readline())
    began = _now()
    from faceaffect import open_pipeline, open_source  # noqa: F401  # what a program of three lines imports

    imported = _now()
    measured = _analyse(order)
    run = FreshRun(
        import_wall_s=(imported[0] - began[0]) / 1e9,
        import_cpu_s=(imported[1] - began[1]) / 1e9,
        host_peak_mb=peak_memory_mb(),
        **measured,
    )
    print(json.dumps(asdict(run)))


def _analyse(order: dict[str, Any]) -> dict[str, Any]:
    from faceaffect.bench.configuration import Configuration
    from faceaffect.sources import open_source

    configuration = Configuration.from_json(order["configuration"])
    watch = _DeviceMemory(configuration.device)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(order["video"]))
        pipeline = stack.enter_context(configuration.open())
        frames = islice(source, order["frames"])
        frame = next(frames)
        faces, affect = pipeline.analyse(frame)
        first = _now()
        sink, count = stack.enter_context(_rows(order["rows"])), 0
        sink.write(frame, faces, affect)
        began = _now()
        for frame in frames:
            sink.write(frame, *pipeline.analyse(frame))
            count += 1
            if count % 16 == 1:
                watch.look()
        sink.close()
        ended = _now()
    return {
        "first_wall_s": (first[0] - order["started_ns"]) / 1e9,
        "first_cpu_s": first[1] / 1e9,
        "file_fps": count / max((ended[0] - began[0]) / 1e9, 1e-9),
        "file_cpu_ms": (ended[1] - began[1]) / 1e6 / max(count, 1),
        "device_peak_mb": watch.peak_mb(),
    }


def _now() -> tuple[int, int]:
    return time.perf_counter_ns(), time.process_time_ns()


def _rows(path: str) -> Any:
    """What `faceaffect analyse` writes through; imported only now, because the first result does not need it."""
    from faceaffect.sinks import SinkOptions, ThreadedSink, WhenExisting, open_sink

    return ThreadedSink(open_sink(path, SinkOptions(WhenExisting.OVERWRITE)))


def peak_memory_mb() -> float:
    """Of this process. Not `ru_maxrss`, which a child inherits from the parent that forked it."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


class _DeviceMemory:
    """The least free memory that was seen on the GPU, against what was free before the pipeline was opened."""

    def __init__(self, device: str) -> None:
        self._driver = None
        if device.startswith("cuda"):
            from faceaffect.bench.cuda_driver import CudaDriver

            self._driver = CudaDriver(device)
            self._before = self._least = self._driver.free_bytes()

    def look(self) -> None:
        if self._driver is not None:
            self._least = min(self._least, self._driver.free_bytes())

    def peak_mb(self) -> float | None:
        return None if self._driver is None else (self._before - self._least) / 1e6


if __name__ == "__main__":
    main()

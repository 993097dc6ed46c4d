"""What a new process costs: import, first result, memory, and a file from its first frame to its
last row.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.cuda_driver import CudaDriver
from faceaffect.pipeline import Pipeline
from faceaffect.sources.source import Source
from faceaffect.types import Frame

Moment = tuple[int, int]
"""Wall clock and processor clock of this process, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class FreshRun:
    """Seconds count from the start of the process, but `import_*` which is the import of
    faceaffect's parts alone.

    `file_*` are about all frames of the file but the first, decoding, analysis and writing
    overlapped.
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


def now() -> Moment:
    return time.perf_counter_ns(), time.process_time_ns()


class FreshWatch:
    """Follows a process from its first import to the last row of a file."""

    def __init__(
        self,
        started_ns: int,
        before_import: Moment,
        after_import: Moment,
        configuration: Configuration,
    ) -> None:
        self._started_ns, self._before, self._after = started_ns, before_import, after_import
        self._memory = DeviceMemory(configuration.gpu)

    def analyze(self, pipeline: Pipeline, source: Source, count: int, rows: Path) -> FreshRun:
        """Analyze the first `count` frames of a source and write their rows, as `faceaffect
        analyze` does.
        """
        frames = islice(source, count)
        frame = next(frames)
        faces, affect = pipeline.analyze(frame)
        first = now()
        # Imported only now, because a first result does not need it.
        from faceaffect.sinks import OverwritePolicy, SinkOptions, ThreadedSink, open_sink

        with ThreadedSink(open_sink(rows, SinkOptions(OverwritePolicy.OVERWRITE))) as sink:
            sink.write(frame, faces, affect)
            began, analyzed = now(), 0
            for frame in self._watched(frames):
                sink.write(frame, *pipeline.analyze(frame))
                analyzed += 1
        ended = now()
        return FreshRun(
            import_wall_s=(self._after[0] - self._before[0]) / 1e9,
            import_cpu_s=(self._after[1] - self._before[1]) / 1e9,
            first_wall_s=(first[0] - self._started_ns) / 1e9,
            first_cpu_s=first[1] / 1e9,
            file_fps=1e9 * analyzed / max(ended[0] - began[0], 1),
            file_cpu_ms=(ended[1] - began[1]) / 1e6 / max(analyzed, 1),
            host_peak_mb=peak_memory_mb(),
            device_peak_mb=self._memory.peak_mb(),
        )

    def _watched(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for number, frame in enumerate(frames):
            yield frame
            if number % 16 == 0:
                self._memory.look()


def peak_memory_mb() -> float:
    """Of this process. Not `ru_maxrss`, which a child inherits from the parent that forked it."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        * (1 if sys.platform == "darwin" else 1024)
        / 1e6
    )


class DeviceMemory:
    """The least free memory that was seen on a GPU, against what was free before the pipeline was
    opened.
    """

    def __init__(self, device: str) -> None:
        """`device` is like `cuda:0`, or empty: then there is nothing to watch."""
        self._driver: CudaDriver | None = None
        if device:
            # Where the driver cannot be used the pipeline says so, or runs on the CPU.
            with suppress(BenchError):
                self._driver = CudaDriver(device)
                self._before = self._least = self._driver.free_bytes()

    def look(self) -> None:
        if self._driver is not None:
            self._least = min(self._least, self._driver.free_bytes())

    def peak_mb(self) -> float | None:
        """Megabytes; None without a GPU."""
        self.look()
        return None if self._driver is None else (self._before - self._least) / 1e6

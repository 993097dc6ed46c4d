"""Cold-start cost of a new process: import, first result, peak memory, and one file to its rows."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from faceaffect.bench.configuration import BenchError, Configuration
from faceaffect.bench.cuda_driver import CudaDriver
from faceaffect.pipeline import Pipeline
from faceaffect.sources.source import Source
from faceaffect.types import Frame

_MEMORY_SAMPLE_STRIDE: Final = 16  # frames

ClockReading = tuple[int, int]
"""Wall clock and CPU clock of this process, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Costs of one process.

    Seconds count from the start of the process, except `import_*`, which is the import of
    faceaffect alone. `file_*` cover all frames of the file but the first, with decoding, analysis
    and writing overlapped.
    """

    import_wall_s: float
    import_cpu_s: float
    first_wall_s: float
    first_cpu_s: float
    file_fps: float
    file_cpu_ms: float
    """CPU time of all threads per frame."""
    host_peak_mb: float
    device_peak_mb: float | None
    """Decrease of the GPU's free memory, whoever used it; None without a GPU."""


def read_clocks() -> ClockReading:
    """Return the current time on both clocks."""
    return time.perf_counter_ns(), time.process_time_ns()


class ColdStartMonitor:
    """Measures a process from its first import to the last row of a file."""

    def __init__(
        self,
        started_ns: int,
        before_import: ClockReading,
        after_import: ClockReading,
        configuration: Configuration,
    ) -> None:
        self._started_ns = started_ns
        self._before_import = before_import
        self._after_import = after_import
        self._memory = DeviceMemory(configuration.gpu)

    def analyze(self, pipeline: Pipeline, source: Source, count: int, rows: Path) -> ColdStart:
        """Analyze the first `count` frames and write their rows, as `faceaffect analyze` does."""
        frames = islice(source, count)
        frame = next(frames)
        faces, affect = pipeline.analyze(frame)
        first = read_clocks()
        # Imported here because a first result does not need it.
        from faceaffect.sinks import OverwritePolicy, SinkOptions, ThreadedSink, open_sink

        analyzed = 0
        with ThreadedSink(open_sink(rows, SinkOptions(OverwritePolicy.OVERWRITE))) as sink:
            sink.write(frame, faces, affect)
            begin = read_clocks()
            for frame in self._sample_memory(frames):
                sink.write(frame, *pipeline.analyze(frame))
                analyzed += 1
        end = read_clocks()
        return ColdStart(
            import_wall_s=(self._after_import[0] - self._before_import[0]) / 1e9,
            import_cpu_s=(self._after_import[1] - self._before_import[1]) / 1e9,
            first_wall_s=(first[0] - self._started_ns) / 1e9,
            first_cpu_s=first[1] / 1e9,
            file_fps=1e9 * analyzed / max(end[0] - begin[0], 1),
            file_cpu_ms=(end[1] - begin[1]) / 1e6 / max(analyzed, 1),
            host_peak_mb=peak_memory_mb(),
            device_peak_mb=self._memory.peak_mb(),
        )

    def _sample_memory(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for index, frame in enumerate(frames):
            yield frame
            if index % _MEMORY_SAMPLE_STRIDE == 0:
                self._memory.sample()


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process.

    `ru_maxrss` is not used on Linux: a child inherits it from the parent that forked it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 1e6


class DeviceMemory:
    """Peak use of a GPU's memory, from the lowest free memory among samples."""

    def __init__(self, device: str) -> None:
        """Take the first sample.

        Args:
            device: GPU like `cuda:0`; empty to measure nothing.
        """
        self._driver: CudaDriver | None = None
        if device:
            # Without a usable driver the pipeline raises its own error, or runs on the CPU.
            with suppress(BenchError):
                self._driver = CudaDriver(device)
                self._initial_free = self._min_free = self._driver.free_bytes()

    def sample(self) -> None:
        """Update the lowest free memory."""
        if self._driver is not None:
            self._min_free = min(self._min_free, self._driver.free_bytes())

    def peak_mb(self) -> float | None:
        """Return the peak use in megabytes; None without a GPU."""
        self.sample()
        return None if self._driver is None else (self._initial_free - self._min_free) / 1e6

"""Events and memory of an NVIDIA GPU, through NVIDIA's bindings of the driver."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from faceaffect.bench.configuration import BenchError
from faceaffect.system.install_command import install_command


class CudaDriver:
    """One GPU, in its primary context, which the CUDA runtime uses too."""

    def __init__(self, device: str, bindings: Any = None) -> None:
        """Retain the primary context and make it current.

        Args:
            device: GPU like `cuda:0`.
            bindings: Replacement of `cuda.bindings.driver`, for tests.

        Raises:
            BenchError: There is no usable driver, or the bindings are not installed.
        """
        self._bindings = bindings or _import_bindings()
        index = int(device.partition(":")[2] or 0)
        self._call("cuInit", 0)
        self._handle = self._call("cuDeviceGet", index)
        self._context = self._call("cuDevicePrimaryCtxRetain", self._handle)
        self.make_current()

    def make_current(self) -> None:
        """Make the context current in the calling thread, once per thread that records events."""
        self._call("cuCtxSetCurrent", self._context)

    def describe(self) -> str:
        """Return name, memory and CUDA version, for records."""
        name = bytes(self._call("cuDeviceGetName", 256, self._handle)).split(b"\0")[0]
        version = int(self._call("cuDriverGetVersion"))
        total_mb = self._memory_bytes()[1] / 1e6
        cuda = f"{version // 1000}.{version % 1000 // 10}"
        return f"{name.decode(errors='replace')}, {total_mb:.0f} MB, driver for CUDA {cuda}"

    def free_bytes(self) -> int:
        """Return the free memory of the whole GPU."""
        return self._memory_bytes()[0]

    def create_event(self) -> Any:
        """Create an event with timing."""
        return self._call("cuEventCreate", 0)

    def record(self, event: Any, stream: int) -> None:
        """Record an event on a stream."""
        self._call("cuEventRecord", event, stream)

    def synchronize(self, event: Any) -> None:
        """Block until an event has completed."""
        self._call("cuEventSynchronize", event)

    def elapsed_ms(self, before: Any, after: Any) -> float:
        """Return the time between two completed events."""
        return float(self._call("cuEventElapsedTime", before, after))

    def _memory_bytes(self) -> tuple[int, int]:
        free, total = self._call("cuMemGetInfo")
        return int(free), int(total)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the driver; return its result, several as a tuple."""
        try:
            status, *results = getattr(self._bindings, name)(*arguments)
        except RuntimeError as error:  # the library of the driver is missing
            raise BenchError(
                f"a CUDA device needs the NVIDIA driver, which cannot be loaded ({error}); "
                "use --device cpu"
            ) from None
        if int(status):
            raise BenchError(
                f"the NVIDIA driver failed in {name} with error {int(status)}; "
                "see `nvidia-smi` and `faceaffect doctor`"
            )
        return results[0] if len(results) == 1 else tuple(results)


class EventClock:
    """Times the GPU between two time stamps, including the time it waits for work.

    Use one clock per thread.
    """

    name = "event"

    def __init__(self, driver: CudaDriver, stream: int = 0) -> None:
        """Make the GPU current in the calling thread.

        Args:
            driver: The GPU.
            stream: CUDA stream handle; 0 is the default stream, which only synchronizes with
                blocking streams.
        """
        self._driver = driver
        self._stream = stream
        self._events: list[Any] = []
        self._num_used = 0
        driver.make_current()

    def now(self) -> Any:
        """Record an event; events are reused after `intervals_ns`."""
        if self._num_used == len(self._events):
            self._events.append(self._driver.create_event())
        event = self._events[self._num_used]
        self._num_used += 1
        self._driver.record(event, self._stream)
        return event

    def intervals_ns(self, stamps: Sequence[Any]) -> list[int]:
        """Wait for the last time stamp, and return the times between successive time stamps."""
        self._driver.synchronize(stamps[-1])
        self._num_used = 0
        return [
            round(1e6 * self._driver.elapsed_ms(before, after))
            for before, after in pairwise(stamps)
        ]


def _import_bindings() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError:
        raise BenchError(
            "timing a CUDA device needs NVIDIA's bindings of its driver, which are not installed;"
            f" run {install_command('cuda')}, or use --device cpu"
        ) from None
    return driver

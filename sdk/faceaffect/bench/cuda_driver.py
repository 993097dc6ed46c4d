"""Events and memory of an NVIDIA GPU, through the driver library by ctypes."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from faceaffect.bench.configuration import BenchError

_LIBRARY: Final = "libcuda.so.1"


class CudaDriver:
    """One GPU, in its primary context, which the CUDA runtime uses too."""

    def __init__(self, device: str, library: Any = None) -> None:
        """Retain the primary context and make it current.

        Args:
            device: GPU like `cuda:0`.
            library: Replacement of the driver library, for tests.

        Raises:
            BenchError: There is no usable driver.
        """
        self._library = library or _load()
        index = int(device.partition(":")[2] or 0)
        self._call("cuInit", 0)
        handle = ctypes.c_int()
        context = ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(handle), index)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
        self._handle = handle
        self._context = context
        self.make_current()

    def make_current(self) -> None:
        """Make the context current in the calling thread, once per thread that records events."""
        self._call("cuCtxSetCurrent", self._context)

    def describe(self) -> str:
        """Return name, memory and CUDA version, for records."""
        name = ctypes.create_string_buffer(256)
        version = ctypes.c_int()
        self._call("cuDeviceGetName", name, len(name), self._handle)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        total_mb = self._memory_bytes()[1] / 1e6
        cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return f"{name.value.decode(errors='replace')}, {total_mb:.0f} MB, driver for CUDA {cuda}"

    def free_bytes(self) -> int:
        """Return the free memory of the whole GPU."""
        return self._memory_bytes()[0]

    def create_event(self) -> ctypes.c_void_p:
        """Create an event with timing."""
        event = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(event), 0)
        return event

    def record(self, event: ctypes.c_void_p, stream: int) -> None:
        """Record an event on a stream."""
        self._call("cuEventRecord", event, ctypes.c_void_p(stream))

    def synchronize(self, event: ctypes.c_void_p) -> None:
        """Block until an event has completed."""
        self._call("cuEventSynchronize", event)

    def elapsed_ms(self, before: ctypes.c_void_p, after: ctypes.c_void_p) -> float:
        """Return the time between two completed events."""
        elapsed = ctypes.c_float()
        self._call("cuEventElapsedTime", ctypes.byref(elapsed), before, after)
        return float(elapsed.value)

    def _memory_bytes(self) -> tuple[int, int]:
        free = ctypes.c_size_t()
        total = ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise BenchError(
                f"the NVIDIA driver failed in {name} with error {status}; "
                "see `nvidia-smi` and `faceaffect doctor`"
            )


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
        self._events: list[ctypes.c_void_p] = []
        self._num_used = 0
        driver.make_current()

    def now(self) -> ctypes.c_void_p:
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


def _load() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise BenchError(
            f"a CUDA device needs the NVIDIA driver, which cannot be loaded ({error}); "
            "use --device cpu"
        ) from None

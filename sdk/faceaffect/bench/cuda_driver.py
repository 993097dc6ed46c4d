"""Events and memory of an NVIDIA GPU through its driver library: nothing to install, nothing to
compile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from faceaffect.bench.configuration import BenchError

_LIBRARY: Final = "libcuda.so.1"


class CudaDriver:
    """One GPU, in the context that the CUDA runtime shares. Raises BenchError without a usable
    driver.
    """

    def __init__(self, device: str, library: Any = None) -> None:
        """`device` is like `cuda:0`; `library` stands in for the driver."""
        self._library = library or _load()
        number = int(device.partition(":")[2] or 0)
        self._call("cuInit", 0)
        handle, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(handle), number)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
        self._handle, self._context = handle, context
        self.enter()

    def enter(self) -> None:
        """Make the GPU the calling thread's own: each thread that marks events needs it once."""
        self._call("cuCtxSetCurrent", self._context)

    def describe(self) -> str:
        """Name and memory, for records."""
        name, version = ctypes.create_string_buffer(256), ctypes.c_int()
        self._call("cuDeviceGetName", name, len(name), self._handle)
        self._call("cuDriverGetVersion", ctypes.byref(version))
        total_mb = self._memory_bytes()[1] / 1e6
        number = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return f"{name.value.decode(errors='replace')}, {total_mb:.0f} MB, driver for CUDA {number}"

    def free_bytes(self) -> int:
        """Memory of the whole GPU that nobody uses."""
        return self._memory_bytes()[0]

    def make_event(self) -> ctypes.c_void_p:
        event = ctypes.c_void_p()
        self._call("cuEventCreate", ctypes.byref(event), 0)
        return event

    def record(self, event: ctypes.c_void_p, stream: int) -> None:
        self._call("cuEventRecord", event, ctypes.c_void_p(stream))

    def wait_for(self, event: ctypes.c_void_p) -> None:
        self._call("cuEventSynchronize", event)

    def elapsed_ms(self, before: ctypes.c_void_p, after: ctypes.c_void_p) -> float:
        """Between two events that have happened."""
        found = ctypes.c_float()
        self._call("cuEventElapsedTime", ctypes.byref(found), before, after)
        return float(found.value)

    def _memory_bytes(self) -> tuple[int, int]:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise BenchError(
                f"the NVIDIA driver failed in {name} with error {status}; see `nvidia-smi` and `faceaffect doctor`"
            )


class EventTimer:
    """Time on the GPU: what the work that was queued between two marks took there, waiting for work
    included.

    Events are queued on `stream` (a CUDA stream handle; 0 is the default stream, which only sees
    blocking streams). One timer belongs to one thread.
    """

    name = "event"

    def __init__(self, driver: CudaDriver, stream: int = 0) -> None:
        self._driver, self._stream = driver, stream
        self._events: list[ctypes.c_void_p] = []
        self._used = 0
        driver.enter()

    def now(self) -> ctypes.c_void_p:
        if self._used == len(self._events):
            self._events.append(self._driver.make_event())
        event = self._events[self._used]
        self._used += 1
        self._driver.record(event, self._stream)
        return event

    def intervals_ns(self, marks: Sequence[Any]) -> list[int]:
        self._driver.wait_for(marks[-1])
        self._used = 0
        return [
            round(1e6 * self._driver.elapsed_ms(before, after)) for before, after in pairwise(marks)
        ]


def _load() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise BenchError(
            f"a CUDA device was asked for, the NVIDIA driver cannot be loaded ({error}); use --device cpu"
        ) from None

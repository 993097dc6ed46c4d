"""The stand-in CUDA runtime as checks see it: counts, planted failures, races, allocations."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, NoReturn

import numpy as np

PREFIX = "FACEAFFECT_STANDIN_"
library = ctypes.CDLL(os.environ[f"{PREFIX}LIBRARY"])
HOST_CALL = ctypes.CFUNCTYPE(None, ctypes.c_long)
library.standin_enqueue.argtypes = [ctypes.c_void_p, HOST_CALL, ctypes.c_long, ctypes.c_char_p]
library.standin_real.restype = ctypes.c_void_p
library.standin_real.argtypes = [ctypes.c_uint64, ctypes.c_uint64]
library.standin_count.argtypes = [ctypes.c_char_p]
library.standin_fail.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int]
for _name in ("standin_count", "standin_races", "standin_live", "standin_sticky"):
    getattr(library, _name).restype = ctypes.c_long


def count(call: str) -> int:
    """Calls of a function of the runtime; `cudaLaunchKernel` counts every way to launch."""
    return int(library.standin_count(call.encode()))


def counts(*calls: str) -> np.ndarray:
    return np.array([count(call) for call in calls])


def fail_next(call: str, code: int, *, sticky: bool = False, nth: int = 1) -> None:
    """Let the nth call of a function from now on fail; a sticky error is given from then on."""
    library.standin_fail(call.encode(), nth, code, int(sticky))


def reset() -> None:
    """Recover from planted and sticky errors."""
    library.standin_reset()


def races() -> int:
    return int(library.standin_races())


def live() -> int:
    """Number of allocations, pinned and on the device, that were not freed."""
    return int(library.standin_live())


def sticky() -> int:
    return int(library.standin_sticky())


def current_device() -> int:
    device = ctypes.c_int()
    library.cudaGetDevice(ctypes.byref(device))
    return device.value


def is_capturing(stream: int) -> bool:
    status = ctypes.c_int()
    library.cudaStreamIsCapturing(ctypes.c_void_p(int(stream)), ctypes.byref(status))
    return status.value != 0


def delay(stream: Any, call: Any) -> Any:
    """Queue `call(_)` on a stream; keep what is returned until it has run."""
    queued = HOST_CALL(call)
    library.standin_enqueue(int(stream.handle), queued, 0, b"delay")
    return queued


def memory(address: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray | None:
    """View of device memory; None, and a sticky error, if the address is not allocated."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    real = library.standin_real(address, nbytes)
    if not real:
        return None
    return np.frombuffer((ctypes.c_uint8 * nbytes).from_address(real), dtype).reshape(shape)


def finish(result: str, problems: list[str]) -> NoReturn:
    """Print one line and end the process, with status 1 if there are problems."""
    if races():
        problems = [*problems, f"{races()} races"]
    if sticky():
        problems = [*problems, f"the GPU was lost with error {sticky()}"]
    print(f"{'WRONG: ' + '; '.join(problems) + ' | ' if problems else ''}{result}", flush=True)
    sys.exit(1 if problems else 0)

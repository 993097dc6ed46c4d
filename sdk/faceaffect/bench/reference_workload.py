"""A fixed piece of work that has nothing to do with us: how fast the machine itself is just now."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

_REPEATS: Final = 15
_LOOPS: Final = 15_000
_CACHED: Final = 1 << 16  # float32 numbers, 256 KB: stays in a core's own cache
_COPIED: Final = 1 << 22  # bytes: goes through memory


def time_reference() -> dict[str, float]:
    """Median milliseconds by clock of one turn: interpreted Python, arithmetic in the cache, copies
    through memory.

    No BLAS, whose threads would make it another amount of work on another machine.
    """
    numbers = np.linspace(0, 1, _CACHED, dtype=np.float32)
    result = np.empty_like(numbers)
    source, target = np.zeros(_COPIED, np.uint8), np.ones(_COPIED, np.uint8)
    wall_ns, cpu_ns = [], []
    for _ in range(_REPEATS + 1):
        began = (time.perf_counter_ns(), time.process_time_ns())
        total = 0
        for number in range(_LOOPS):
            total += number & 7
        for _ in range(8):
            np.multiply(numbers, numbers, out=result)
            np.add(result, numbers, out=result)
            np.sqrt(result, out=result)
        np.copyto(target, source)
        wall_ns.append(time.perf_counter_ns() - began[0])
        cpu_ns.append(time.process_time_ns() - began[1])
    # The first turn meets cold caches and untouched pages.
    return {"wall": float(np.median(wall_ns[1:])) / 1e6, "cpu": float(np.median(cpu_ns[1:])) / 1e6}

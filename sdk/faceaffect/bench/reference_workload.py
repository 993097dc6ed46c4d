"""Fixed workload that measures the present speed of the machine itself."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

_REPETITIONS: Final = 15
_LOOP_ITERATIONS: Final = 15_000
_CACHED_FLOATS: Final = 1 << 16  # 256 KB: fits into a core's L2 cache
_COPIED_BYTES: Final = 1 << 22  # exceeds it: goes through memory


def time_reference_workload() -> dict[str, float]:
    """Time interpreted Python, arithmetic in the cache and copies through memory.

    BLAS is not used: its threads would make the amount of work depend on the machine.

    Returns:
        Median milliseconds per repetition, by clock.
    """
    numbers = np.linspace(0, 1, _CACHED_FLOATS, dtype=np.float32)
    result = np.empty_like(numbers)
    source = np.zeros(_COPIED_BYTES, np.uint8)
    target = np.ones(_COPIED_BYTES, np.uint8)
    wall_ns = []
    cpu_ns = []
    for _ in range(_REPETITIONS + 1):
        wall_begin_ns = time.perf_counter_ns()
        cpu_begin_ns = time.process_time_ns()
        total = 0
        for number in range(_LOOP_ITERATIONS):
            total += number & 7
        for _ in range(8):
            np.multiply(numbers, numbers, out=result)
            np.add(result, numbers, out=result)
            np.sqrt(result, out=result)
        np.copyto(target, source)
        wall_ns.append(time.perf_counter_ns() - wall_begin_ns)
        cpu_ns.append(time.process_time_ns() - cpu_begin_ns)
    # The first repetition runs with cold caches and untouched pages.
    return {"wall": float(np.median(wall_ns[1:])) / 1e6, "cpu": float(np.median(cpu_ns[1:])) / 1e6}

"""Number of processor cores available to this process."""

from __future__ import annotations

import os


def cpu_count() -> int:
    """Number of cores, at least 1; on Linux without those withheld by `taskset` or a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

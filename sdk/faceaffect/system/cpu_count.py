"""How many processor cores this process may use."""

from __future__ import annotations

import os


def cpu_count() -> int:
    """At least 1; those that `taskset` or a container takes away do not count where the system
    tells (Linux).
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

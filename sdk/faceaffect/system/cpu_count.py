"""Number of processor cores available to this process."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

_CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
_OWN_CGROUPS: Final = Path("/proc/self/cgroup")


def cpu_count() -> int:
    """Number of cores, at least 1; on Linux without those withheld by `taskset` or a container."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cgroup_quota_cores(_CGROUP_ROOT, _OWN_CGROUPS)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def cgroup_quota_cores(root: Path, own_cgroups: Path) -> float | None:
    """Return how many cores' worth of time a container may use; None without a limit.

    Args:
        root: Where control groups are mounted.
        own_cgroups: The process's file of its groups, lines of `number:controllers:path`.
    """
    quotas = []
    for line in _read(own_cgroups).splitlines() or ["0::/"]:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        # A limit of any group above holds too. Inside a container only the last may be mounted.
        folder = base / group.lstrip("/")
        while True:
            quotas.append(_quota_cores(folder))
            if folder == base:
                break
            folder = folder.parent
    limits = [quota for quota in quotas if quota is not None]
    return min(limits, default=None)


def _quota_cores(folder: Path) -> float | None:
    """Return the limit of one control group, of version 2 or 1."""
    fields = _read(folder / "cpu.max").split()
    if len(fields) != 2:
        fields = [
            _read(folder / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        ]
    if not all(field.isdecimal() for field in fields) or int(fields[1]) == 0:  # "max", "-1", ""
        return None
    return int(fields[0]) / int(fields[1])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""

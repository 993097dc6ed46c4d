"""Detects whether other work disturbed a measurement."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MAX_OTHERS_FRACTION: Final = 0.10
_MAX_STEAL_FRACTION: Final = 0.02
_MAX_LOAD_PER_CORE: Final = 0.5
_STAT: Final = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """Use of all cores during a run; None where the system does not report it.

    `load_average` is that of the minute before the run.
    """

    cores: int
    load_average: float | None
    others_fraction: float | None
    """Fraction of CPU time used by other processes."""
    steal_fraction: float | None
    """Fraction of CPU time used by other virtual machines on the same host."""

    @property
    def is_busy(self) -> bool:
        """Whether other work dominates differences of wall times."""
        return bool(self.warnings())

    def warnings(self) -> list[str]:
        """Return warnings for readers of the metrics; empty on a quiet machine."""
        reasons = []
        if self.others_fraction is not None:
            if self.others_fraction > _MAX_OTHERS_FRACTION:
                reasons.append(
                    f"other processes used {self.others_fraction:.0%} of the machine's "
                    f"{self.cores} cores during the run"
                )
        elif self.load_average is not None and self.load_average > _MAX_LOAD_PER_CORE * self.cores:
            reasons.append(
                f"the load average was {self.load_average:.1f} on {self.cores} cores before the run"
            )
        if self.steal_fraction is not None and self.steal_fraction > _MAX_STEAL_FRACTION:
            reasons.append(
                f"the host used {self.steal_fraction:.0%} of the CPU time for other virtual "
                "machines (steal)"
            )
        if reasons:
            reasons.append(
                "wall times and tail latencies are too high on a busy machine; compare CPU times, "
                "or run again"
            )
        return reasons


class SystemLoadMonitor:
    """Measures the load from its creation to `stop`.

    It reads the kernel's counters at both ends, so it costs nothing in between.
    """

    def __init__(self, stat: Path = _STAT) -> None:
        """Start measuring.

        Args:
            stat: File in the format of /proc/stat.
        """
        self._stat = stat
        self._ticks_before = _read_ticks(stat)
        self._process_before_s = _process_tree_s()
        self._load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None

    def stop(self) -> MachineLoad:
        """Return the load since the creation of the monitor."""
        ticks_after = _read_ticks(self._stat)
        cores = os.cpu_count() or 1
        if self._ticks_before is None or ticks_after is None:
            return MachineLoad(cores, self._load_average, None, None)
        elapsed = [
            after - before for before, after in zip(self._ticks_before, ticks_after, strict=True)
        ]
        total = max(1, sum(elapsed))
        idle = elapsed[3] + elapsed[4]
        steal = elapsed[7]
        process = (_process_tree_s() - self._process_before_s) * os.sysconf("SC_CLK_TCK")
        others = max(0.0, total - idle - steal - process)
        return MachineLoad(cores, self._load_average, others / total, steal / total)


def _process_tree_s() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _read_ticks(stat: Path) -> list[int] | None:
    """Read user, nice, system, idle, iowait, irq, softirq, steal of all cores, see proc(5)."""
    try:
        words = stat.read_text(encoding="ascii").split("\n", 1)[0].split()
        return [int(word) for word in words[1:9]] if words[0] == "cpu" and len(words) >= 9 else None
    except (OSError, ValueError, IndexError):
        return None

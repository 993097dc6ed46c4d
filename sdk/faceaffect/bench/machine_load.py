"""Whether the machine was busy with something else while it measured."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BUSY_SHARE: Final = 0.10
_STOLEN_SHARE: Final = 0.02
_STAT: Final = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """Shares of all cores' time during the run; None where the system does not tell. `load_before`
    is that of the minute before the run (processes that want a core).
    """

    cores: int
    load_before: float | None
    others_share: float | None
    """Taken by other processes."""
    stolen_share: float | None
    """Taken by other virtual machines on the same host."""

    @property
    def is_busy(self) -> bool:
        """Whether wall times say more of the others than of us."""
        return bool(self.warnings())

    def warnings(self) -> list[str]:
        """What a reader of the figures must know; empty on a quiet machine."""
        found = []
        if self.others_share is not None and self.others_share > _BUSY_SHARE:
            found.append(
                f"other processes took {self.others_share:.0%} of the machine's {self.cores} cores during the run"
            )
        elif (
            self.others_share is None
            and self.load_before is not None
            and self.load_before > 0.5 * self.cores
        ):
            found.append(
                f"the load was {self.load_before:.1f} on {self.cores} cores before the run"
            )
        if self.stolen_share is not None and self.stolen_share > _STOLEN_SHARE:
            found.append(
                f"the host took {self.stolen_share:.0%} of the cores' time for other virtual machines (steal)"
            )
        if found:
            found.append(
                "wall times and the tail are too high on a busy machine; compare processor times, or run again"
            )
        return found


class SystemLoadMonitor:
    """Watches from its making to `stop`. Reads the kernel's counters, so it costs nothing in
    between.
    """

    def __init__(self, stat: Path = _STAT) -> None:
        self._stat = stat
        self._before = _read_ticks(stat)
        self._own_before_s = _own_s()
        self._load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None

    def stop(self) -> MachineLoad:
        after, cores = _read_ticks(self._stat), os.cpu_count() or 1
        if self._before is None or after is None:
            return MachineLoad(cores, self._load, None, None)
        spent = [end - begin for begin, end in zip(self._before, after, strict=True)]
        total = max(1, sum(spent))
        idle, stolen = spent[3] + spent[4], spent[7]
        own = (_own_s() - self._own_before_s) * os.sysconf("SC_CLK_TCK")
        others = max(0.0, total - idle - stolen - own)
        return MachineLoad(cores, self._load, others / total, stolen / total)


def _own_s() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _read_ticks(stat: Path) -> list[int] | None:
    """user, nice, system, idle, iowait, irq, softirq, steal of all cores (proc(5)); None where
    there is no such file.
    """
    try:
        words = stat.read_text(encoding="ascii").split("\n", 1)[0].split()
        return [int(word) for word in words[1:9]] if words[0] == "cpu" and len(words) >= 9 else None
    except (OSError, ValueError, IndexError):
        return None

"""Energy of the machine while a block runs, from counters that Linux offers without extra packages.

On x86-64 the RAPL counters of the processor packages; on a Jetson the INA3221 power monitor of the
board, which is sampled.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

_SYSFS: Final = Path("/sys")
_INTERVAL_S: Final = 0.02
_BOARD_RAIL: Final = "VDD_IN"
"""Rail of everything on Orin NX and Orin Nano; boards without it have rails that add up to it."""


@dataclass(frozen=True, slots=True)
class _Counter:
    """An energy counter that wraps around."""

    path: Path
    max_uj: int

    def read_uj(self) -> int:
        return int(self.path.read_text())


@dataclass(frozen=True, slots=True)
class _Rail:
    """A supply with a voltage and a current sensor."""

    name: str
    millivolts: Path
    milliamperes: Path

    def read_w(self) -> float:
        return int(self.millivolts.read_text()) * int(self.milliamperes.read_text()) / 1e6


class EnergyMeter:
    """Measures a `with` block; `joules` is None where nothing can be read.

    RAPL counts the processor packages of the whole machine, without GPU and board; its files can
    usually be read by root only.
    """

    def __init__(self, sysfs: Path = _SYSFS) -> None:
        self.joules: float | None = None
        self.source = ""
        self._counters = _find_counters(sysfs)
        self._rails = [] if self._counters else _find_rails(sysfs)
        self._start_uj: list[int] = []
        self._stop = threading.Event()
        self._sampled_j: float | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> EnergyMeter:
        if self._counters:
            self.source = "RAPL, processor"
            self._start_uj = [counter.read_uj() for counter in self._counters]
        elif self._rails:
            self.source = f"INA3221, {'+'.join(rail.name for rail in self._rails)}"
            self._thread = threading.Thread(target=self._sample, name="faceaffect-energy")
            self._thread.daemon = True
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._counters:
            pairs = zip(self._counters, self._start_uj, strict=True)
            self.joules = sum(_elapsed_uj(counter, start) for counter, start in pairs) / 1e6
        elif self._thread is not None:
            self._stop.set()
            self._thread.join()
            self.joules = self._sampled_j

    def _sample(self) -> None:
        """Integrate the power of the rails by the trapezoidal rule."""
        try:
            joules = 0.0
            before_s, before_w = time.perf_counter(), self._read_w()
            is_last = False
            while not is_last:
                is_last = self._stop.wait(_INTERVAL_S)
                now_s, now_w = time.perf_counter(), self._read_w()
                joules += (now_s - before_s) * (now_w + before_w) / 2
                before_s, before_w = now_s, now_w
        except (OSError, ValueError):  # a rail that was switched off must not end the benchmark
            return
        self._sampled_j = joules

    def _read_w(self) -> float:
        return sum(rail.read_w() for rail in self._rails)


def _elapsed_uj(counter: _Counter, start_uj: int) -> int:
    elapsed = counter.read_uj() - start_uj
    return elapsed if elapsed >= 0 else elapsed + counter.max_uj


def _find_counters(sysfs: Path) -> list[_Counter]:
    """Counters of the processor packages; those of their parts are included in them."""
    counters = []
    for folder in sorted((sysfs / "class/powercap").glob("intel-rapl:*")):
        try:
            if not (folder / "name").read_text().startswith("package"):
                continue
            max_uj = int((folder / "max_energy_range_uj").read_text())
            counter = _Counter(folder / "energy_uj", max_uj)
            counter.read_uj()
        except (OSError, ValueError):
            continue
        counters.append(counter)
    return counters


def _find_rails(sysfs: Path) -> list[_Rail]:
    """The rail of the whole board, or else all rails."""
    rails = []
    for folder in sorted((sysfs / "class/hwmon").glob("hwmon*")):
        try:
            if (folder / "name").read_text().strip() != "ina3221":
                continue
            for label in sorted(folder.glob("in*_label")):
                number = label.name[2:].partition("_")[0]
                name = label.read_text().strip()
                rail = _Rail(name, folder / f"in{number}_input", folder / f"curr{number}_input")
                # A channel without a current sensor is a sum of others or not connected.
                if rail.milliamperes.is_file() and rail.millivolts.is_file():
                    rail.read_w()
                    rails.append(rail)
        except (OSError, ValueError):
            continue
    board = [rail for rail in rails if rail.name == _BOARD_RAIL]
    return board or rails

"""Power and temperature of a Jetson, through jtop (package jetson-stats) if it is installed."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

_INTERVAL_S: Final = 0.5
_JETSON_FILE: Final = Path("/etc/nv_tegra_release")


@dataclass(slots=True)
class PowerSamples:
    """Power of the whole board and temperature of its hottest sensor, at about 2 Hz."""

    watts: list[float] = field(default_factory=list)
    max_temperature_deg_c: list[float] = field(default_factory=list)


class PowerMonitor:
    """Samples power in a thread, by the current `label`; nothing is sampled while it is empty.

    Without jtop there are no samples, and on a Jetson `note` tells why.
    """

    def __init__(self) -> None:
        """Create a monitor that has not started."""
        self.samples: dict[str, PowerSamples] = {}
        self.label = ""
        self.note = ""
        self._stop = threading.Event()
        self._jtop: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PowerMonitor:
        """Start sampling."""
        try:
            self._jtop = importlib.import_module("jtop").jtop()
            self._jtop.start()
        except ImportError:
            if _JETSON_FILE.is_file():
                self.note = (
                    "power and temperature are not measured: jtop is not installed "
                    "(sudo pip install jetson-stats)"
                )
            return self
        # jtop has its own exception classes, whose names differ between releases.
        except Exception as error:
            self.note = f"power and temperature are not measured: jtop failed ({error})"
            return self
        self._thread = threading.Thread(target=self._run, name="faceaffect-power", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop sampling."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _INTERVAL_S)
            self._jtop.close()

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            if not self.label:
                continue
            samples = self.samples.setdefault(self.label, PowerSamples())
            try:
                watts, temperature_deg_c = read_jtop(self._jtop)
            except Exception as error:  # losing the service must not end the benchmark
                self.note = f"power and temperature were lost during the run: {error}"
                return
            if watts is not None:
                samples.watts.append(watts)
            if temperature_deg_c is not None:
                samples.max_temperature_deg_c.append(temperature_deg_c)


def read_jtop(jtop: Any) -> tuple[float | None, float | None]:
    """Read power and temperature in the formats of jetson-stats 3 and 4.

    Returns:
        Watts of the board and degrees Celsius of the hottest sensor; None where unknown.
    """
    power = jtop.power
    temperatures = []
    total = (
        power[0] if isinstance(power, tuple) else power.get("tot", {})
    )  # version 3: (total, rails)
    milliwatts = total.get("power", total.get("cur"))
    for sensor in dict(jtop.temperature).values():
        value = (
            sensor.get("temp") if isinstance(sensor, dict) else sensor
        )  # version 3: plain numbers
        if value is not None and value > -100:  # a disabled sensor reports -256
            temperatures.append(float(value))
    return None if milliwatts is None else milliwatts / 1000, max(temperatures, default=None)

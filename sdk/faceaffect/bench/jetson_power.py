"""Power and temperature of a Jetson through jtop (package jetson-stats), where that is there."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

_EVERY_S: Final = 0.5
_JETSON_FILE: Final = Path("/etc/nv_tegra_release")


@dataclass(slots=True)
class PowerSamples:
    """Watts of the whole board and degrees Celsius of its hottest sensor, about two a second."""

    watts: list[float] = field(default_factory=list)
    hottest_deg_c: list[float] = field(default_factory=list)


class PowerMonitor:
    """Samples in a thread; `label` says to what the samples belong. Without jtop it does nothing
    and `note` says why.
    """

    def __init__(self) -> None:
        self.samples: dict[str, PowerSamples] = {}
        self.label = ""
        self.note = ""
        self._stop = threading.Event()
        self._jtop: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PowerMonitor:
        try:
            self._jtop = importlib.import_module("jtop").jtop()
            self._jtop.start()
        except ImportError:
            if _JETSON_FILE.is_file():
                self.note = "power and temperature are not measured: jtop is missing (sudo pip install jetson-stats)"
            return self
        except (
            Exception
        ) as error:  # jtop raises classes of its own, whose names changed over its releases
            self.note = f"power and temperature are not measured: jtop says {error}"
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
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _EVERY_S)
            self._jtop.close()

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            if not self.label:
                continue
            kept = self.samples.setdefault(self.label, PowerSamples())
            try:
                watts, degrees = read_jtop(self._jtop)
            except Exception as error:  # a service that goes away must not end the benchmark
                self.note = f"power and temperature were lost on the way: {error}"
                return
            kept.watts += [] if watts is None else [watts]
            kept.hottest_deg_c += [] if degrees is None else [degrees]


def read_jtop(jtop: Any) -> tuple[float | None, float | None]:
    """Watts and degrees Celsius, None for what is not told. Knows the forms of jetson-stats 3 and
    4.
    """
    power, degrees = jtop.power, []
    total = power[0] if isinstance(power, tuple) else power.get("tot", {})  # 3: (total, rails)
    milliwatts = total.get("power", total.get("cur"))
    for sensor in dict(jtop.temperature).values():
        value = sensor.get("temp") if isinstance(sensor, dict) else sensor  # 3: plain numbers
        if value is not None and value > -100:  # a sensor that is switched off says -256
            degrees.append(float(value))
    return None if milliwatts is None else milliwatts / 1000, max(degrees, default=None)

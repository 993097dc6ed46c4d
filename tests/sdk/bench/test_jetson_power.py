"""Tests with fakes of jtop 3 and 4."""

from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from faceaffect.bench import jetson_power
from faceaffect.bench.jetson_power import PowerMonitor, read_jtop

VERSION_4 = SimpleNamespace(
    power={"rail": {"VDD_IN": {"power": 5100}}, "tot": {"power": 7250, "avg": 7000}},
    temperature={
        "cpu": {"temp": 48.5, "online": True},
        "gpu": {"temp": 51.0, "online": True},
        "cv": {"temp": -256},
    },
)
VERSION_3 = SimpleNamespace(
    power=({"cur": 4300, "avg": 4100}, {"5V CPU": {"cur": 900}}),
    temperature={"AO": 39.0, "GPU": 41.5},
)


@pytest.mark.parametrize(
    ("jtop", "expected"), [(VERSION_4, (7.25, 51.0)), (VERSION_3, (4.3, 41.5))]
)
def test_read_jtop_supports_both_formats(jtop: Any, expected: tuple[float, float]) -> None:
    assert read_jtop(jtop) == expected


def test_read_jtop_without_values_returns_none() -> None:
    assert read_jtop(SimpleNamespace(power={}, temperature={})) == (None, None)


class FakeJtop(SimpleNamespace):
    closed = 0

    def __init__(self) -> None:
        super().__init__(power=VERSION_4.power, temperature=VERSION_4.temperature)

    def start(self) -> None:
        pass

    def close(self) -> None:
        type(self).closed += 1


def install_fake(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    module = ModuleType("jtop")
    module.jtop = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jtop", module)
    monkeypatch.setattr(jetson_power, "_INTERVAL_S", 0.005)


def test_power_monitor_stores_samples_by_label(monkeypatch: pytest.MonkeyPatch) -> None:
    install_fake(monkeypatch, FakeJtop)
    with PowerMonitor() as monitor:
        for label in ("one", "", "two"):
            monitor.label = label
            end_s = time.monotonic() + (20 if label else 0.05)
            while label not in monitor.samples and time.monotonic() < end_s:
                time.sleep(0.01)
    assert set(monitor.samples) == {"one", "two"}
    assert set(monitor.samples["two"].watts) == {7.25}
    assert set(monitor.samples["two"].max_temperature_deg_c) == {51.0}
    assert FakeJtop.closed == 1
    assert monitor.note == ""


def test_power_monitor_with_inactive_service_sets_note(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakeJtop):
        def start(self) -> None:
            raise RuntimeError("the jtop service is not active")

    install_fake(monkeypatch, Broken)
    with PowerMonitor() as monitor:
        monitor.label = "one"
    assert monitor.samples == {}
    assert "jtop service is not active" in monitor.note


def test_power_monitor_losing_service_sets_note(monkeypatch: pytest.MonkeyPatch) -> None:
    install_fake(monkeypatch, lambda: SimpleNamespace(start=lambda: None, close=lambda: None))
    with PowerMonitor() as monitor:
        monitor.label = "one"
        time.sleep(0.1)
    assert "lost during the run" in monitor.note


def test_power_monitor_without_jtop_sets_note_on_jetson_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    monkeypatch.setattr(jetson_power, "_JETSON_FILE", tmp_path / "none")
    with PowerMonitor() as monitor:
        assert monitor.note == ""
    monkeypatch.setattr(jetson_power, "_JETSON_FILE", tmp_path / "release")
    (tmp_path / "release").touch()
    with PowerMonitor() as monitor:
        assert "jetson-stats" in monitor.note

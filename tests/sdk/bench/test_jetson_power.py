"""Power and temperature over a jtop of the test's own, in the forms of its releases 3 and 4."""

from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from faceaffect.bench import jetson_power
from faceaffect.bench.jetson_power import PowerMonitor, read_jtop

FOUR = SimpleNamespace(
    power={"rail": {"VDD_IN": {"power": 5100}}, "tot": {"power": 7250, "avg": 7000}},
    temperature={
        "cpu": {"temp": 48.5, "online": True},
        "gpu": {"temp": 51.0, "online": True},
        "cv": {"temp": -256},
    },
)
THREE = SimpleNamespace(
    power=({"cur": 4300, "avg": 4100}, {"5V CPU": {"cur": 900}}),
    temperature={"AO": 39.0, "GPU": 41.5},
)


@pytest.mark.parametrize(("jtop", "expected"), [(FOUR, (7.25, 51.0)), (THREE, (4.3, 41.5))])
def test_both_forms_are_read(jtop: Any, expected: tuple[float, float]) -> None:
    assert read_jtop(jtop) == expected


def test_what_is_not_told_is_none() -> None:
    assert read_jtop(SimpleNamespace(power={}, temperature={})) == (None, None)


class FakeJtop(SimpleNamespace):
    closed = 0

    def __init__(self) -> None:
        super().__init__(power=FOUR.power, temperature=FOUR.temperature)

    def start(self) -> None:
        pass

    def close(self) -> None:
        type(self).closed += 1


def put_in_place(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    module = ModuleType("jtop")
    module.jtop = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jtop", module)
    monkeypatch.setattr(jetson_power, "_EVERY_S", 0.005)


def test_samples_belong_to_their_label(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch, FakeJtop)
    with PowerMonitor() as watch:
        for watch.label in ("one", "", "two"):
            time.sleep(0.1)
    assert set(watch.samples) == {"one", "two"}
    assert set(watch.samples["two"].watts) == {7.25}
    assert set(watch.samples["two"].hottest_deg_c) == {51.0}
    assert FakeJtop.closed == 1
    assert watch.note == ""


def test_a_service_that_does_not_answer_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakeJtop):
        def start(self) -> None:
            raise RuntimeError("the jtop service is not active")

    put_in_place(monkeypatch, Broken)
    with PowerMonitor() as watch:
        watch.label = "one"
    assert watch.samples == {}
    assert "jtop service is not active" in watch.note


def test_a_service_that_goes_away_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch, lambda: SimpleNamespace(start=lambda: None, close=lambda: None))
    with PowerMonitor() as watch:
        watch.label = "one"
        time.sleep(0.1)
    assert "lost on the way" in watch.note


def test_elsewhere_than_on_a_jetson_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setitem(sys.modules, "jtop", None)
    monkeypatch.setattr(jetson_power, "_JETSON_FILE", tmp_path / "none")
    with PowerMonitor() as watch:
        assert watch.note == ""
    monkeypatch.setattr(jetson_power, "_JETSON_FILE", tmp_path / "release")
    (tmp_path / "release").touch()
    with PowerMonitor() as watch:
        assert "jetson-stats" in watch.note

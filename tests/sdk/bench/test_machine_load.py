from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from faceaffect.bench.machine import describe_machine, processor_name
from faceaffect.bench.machine_load import MachineLoad, SystemLoadMonitor

TICKS = os.sysconf("SC_CLK_TCK")


def stat(path: Path, user: float, idle: float, steal: float) -> Path:
    """Write /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice."""
    ticks = [round(seconds * TICKS) for seconds in (user, 0, 0, idle, 0, 0, 0, steal, 0, 0)]
    path.write_text("cpu  " + " ".join(map(str, ticks)) + "\ncpu0 1 2 3 4 5 6 7 8 9 10\nctxt 12\n")
    return path


def test_system_load_monitor_returns_fractions_of_others_and_host(tmp_path: Path) -> None:
    path = stat(tmp_path / "stat", user=1000, idle=1000, steal=5)
    monitor = SystemLoadMonitor(path)
    stat(path, user=1060, idle=1030, steal=15)
    load = monitor.stop()
    assert load.others_fraction == pytest.approx(
        60 / 100, abs=0.02
    )  # this process used almost none
    assert load.steal_fraction == pytest.approx(10 / 100)


def test_system_load_monitor_excludes_this_process(tmp_path: Path) -> None:
    path = stat(tmp_path / "stat", user=0, idle=0, steal=0)
    monitor = SystemLoadMonitor(path)
    begin_s = time.process_time()
    while time.process_time() - begin_s < 0.3:
        pass
    stat(path, user=time.process_time() - begin_s, idle=0.3, steal=0)
    fraction = monitor.stop().others_fraction
    assert fraction is not None
    assert fraction < 0.1


def test_system_load_monitor_on_this_machine() -> None:
    load = SystemLoadMonitor().stop()
    assert load.cores == os.cpu_count()
    assert load.others_fraction is None or 0 <= load.others_fraction <= 1


@pytest.mark.parametrize("content", ["", "cpu\n", "cpu a b c d e f g h\n", "intr 1 2 3\n"])
def test_system_load_monitor_without_counters_returns_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "stat").write_text(content)
    load = SystemLoadMonitor(tmp_path / "stat").stop()
    assert (load.others_fraction, load.steal_fraction) == (None, None)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (MachineLoad(4, 9.0, 0.05, 0.0), []),
        (MachineLoad(4, 0.0, 0.25, 0.0), ["other processes used 25% of the machine's 4 cores"]),
        (MachineLoad(4, 0.0, 0.0, 0.05), ["used 5% of the CPU time for other virtual machines"]),
        (MachineLoad(4, 3.0, None, None), ["the load average was 3.0 on 4 cores"]),
        (MachineLoad(4, 1.0, None, None), []),
        (MachineLoad(4, None, None, None), []),
    ],
)
def test_machine_load_warnings_on_busy_machine(load: MachineLoad, expected: list[str]) -> None:
    warnings = load.warnings()
    assert len(warnings) == (len(expected) + 1 if expected else 0)
    assert all(any(text in warning for warning in warnings) for text in expected)


def test_describe_machine_returns_processor_and_versions() -> None:
    facts = describe_machine()
    assert facts["processor"] == processor_name() != ""
    assert {"cores", "system", "Python", "numpy", "onnxruntime"} <= set(facts)
    assert all(isinstance(fact, str) and fact and "\n" not in fact for fact in facts.values())

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from faceaffect.bench.machine import describe_machine, processor_name
from faceaffect.bench.machine_load import MachineLoad, SystemLoadMonitor

TICKS = os.sysconf("SC_CLK_TCK")


def stat(path: Path, user: float, idle: float, steal: float) -> Path:
    """As the kernel writes it: user nice system idle iowait irq softirq steal guest guest_nice."""
    ticks = [round(seconds * TICKS) for seconds in (user, 0, 0, idle, 0, 0, 0, steal, 0, 0)]
    path.write_text("cpu  " + " ".join(map(str, ticks)) + "\ncpu0 1 2 3 4 5 6 7 8 9 10\nctxt 12\n")
    return path


def test_shares_of_others_and_of_the_host(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=1000, idle=1000, steal=5)
    watch = SystemLoadMonitor(file)
    stat(file, user=1060, idle=1030, steal=15)
    load = watch.stop()
    assert load.others_share == pytest.approx(
        60 / 100, abs=0.02
    )  # this process took next to nothing
    assert load.stolen_share == pytest.approx(10 / 100)


def test_own_work_is_not_others(tmp_path: Path) -> None:
    file = stat(tmp_path / "stat", user=0, idle=0, steal=0)
    watch, began = SystemLoadMonitor(file), time.process_time()
    while time.process_time() - began < 0.3:
        pass
    stat(file, user=time.process_time() - began, idle=0.3, steal=0)
    share = watch.stop().others_share
    assert share is not None
    assert share < 0.1


def test_the_real_machine_can_be_watched() -> None:
    load = SystemLoadMonitor().stop()
    assert load.cores == os.cpu_count()
    assert load.others_share is None or 0 <= load.others_share <= 1


@pytest.mark.parametrize("content", ["", "cpu\n", "cpu a b c d e f g h\n", "intr 1 2 3\n"])
def test_a_system_without_these_counters_says_unknown(tmp_path: Path, content: str) -> None:
    (tmp_path / "stat").write_text(content)
    load = SystemLoadMonitor(tmp_path / "stat").stop()
    assert (load.others_share, load.stolen_share) == (None, None)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (MachineLoad(4, 9.0, 0.05, 0.0), []),
        (MachineLoad(4, 0.0, 0.25, 0.0), ["other processes took 25% of the machine's 4 cores"]),
        (MachineLoad(4, 0.0, 0.0, 0.05), ["took 5% of the cores' time for other virtual machines"]),
        (MachineLoad(4, 3.0, None, None), ["the load was 3.0 on 4 cores"]),
        (MachineLoad(4, 1.0, None, None), []),
        (MachineLoad(4, None, None, None), []),
    ],
)
def test_a_busy_machine_is_warned_of(load: MachineLoad, said: list[str]) -> None:
    warnings = load.warnings()
    assert len(warnings) == (len(said) + 1 if said else 0)
    assert all(any(text in warning for warning in warnings) for text in said)


def test_machine_has_a_processor_and_versions() -> None:
    facts = describe_machine()
    assert facts["processor"] == processor_name() != ""
    assert {"cores", "system", "Python", "numpy", "onnxruntime"} <= set(facts)
    assert all(isinstance(fact, str) and fact and "\n" not in fact for fact in facts.values())

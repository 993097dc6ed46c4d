"""Energy counters on a synthetic sysfs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.synthetic_records import synthetic_record
from faceaffect.bench.energy import EnergyMeter
from faceaffect.bench.metrics import metrics_of


def write(folder: Path, **files: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def rapl(sysfs: Path, zone: str, name: str, energy_uj: int, max_uj: int = 10_000_000) -> Path:
    folder = sysfs / "class/powercap" / zone
    return write(folder, name=name, energy_uj=energy_uj, max_energy_range_uj=max_uj)


def test_energy_meter_adds_packages_and_handles_wrap_around(tmp_path: Path) -> None:
    first = rapl(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    second = rapl(tmp_path, "intel-rapl:1", "package-1", 9_500_000)
    core = rapl(tmp_path, "intel-rapl:0:0", "core", 0)
    with EnergyMeter(tmp_path) as meter:
        write(first, energy_uj=3_000_000)
        write(second, energy_uj=250_000)  # wrapped at 10 J
        write(core, energy_uj=1_500_000)
    assert meter.joules == pytest.approx(2.0 + 0.75), "a core is part of its package"
    assert meter.source == "RAPL, processor"


def ina3221(sysfs: Path, number: int, *rails: tuple[str, int, int]) -> Path:
    files: dict[str, object] = {"name": "ina3221"}
    for i, (label, millivolts, milliamperes) in enumerate(rails, 1):
        files |= {f"in{i}_label": label, f"in{i}_input": millivolts}
        files |= {f"curr{i}_input": milliamperes}
    return write(sysfs / f"class/hwmon/hwmon{number}", **files)


def test_energy_meter_of_orin_nx_integrates_board_rail(tmp_path: Path) -> None:
    write(tmp_path / "class/hwmon/hwmon0", name="pwmfan")
    ina3221(tmp_path, 1, ("VDD_IN", 5000, 2000), ("VDD_CPU_GPU_CV", 5000, 900))
    start_s = time.perf_counter()
    with EnergyMeter(tmp_path) as meter:
        time.sleep(0.15)
    elapsed_s = time.perf_counter() - start_s
    assert meter.joules is not None
    assert 10 * 0.15 * 0.9 <= meter.joules <= 10 * elapsed_s
    assert meter.source == "INA3221, VDD_IN"


def test_energy_meter_of_agx_orin_adds_all_rails_with_a_current(tmp_path: Path) -> None:
    ina3221(tmp_path, 3, ("VDD_GPU_SOC", 19000, 100), ("VDD_CPU_CV", 19000, 50))
    second = ina3221(tmp_path, 4, ("VIN_SYS_5V0", 5000, 500))
    write(second, in7_label="sum of shunt voltages", in7_input=12)  # the driver's own sum
    with EnergyMeter(tmp_path) as meter:
        time.sleep(0.05)
    assert meter.source == "INA3221, VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0"
    assert meter.joules is not None
    assert meter.joules >= (1.9 + 0.95 + 2.5) * 0.05 * 0.9


def test_energy_meter_losing_a_rail_measures_nothing(tmp_path: Path) -> None:
    rail = ina3221(tmp_path, 1, ("VDD_IN", 5000, 2000))
    with EnergyMeter(tmp_path) as meter:
        (rail / "curr1_input").unlink()
        time.sleep(0.1)
    assert meter.joules is None


@pytest.mark.parametrize("content", [None, "not a number"])
def test_energy_meter_without_counters_measures_nothing(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        rapl(tmp_path, "intel-rapl:0", "package-0", 0)
        write(tmp_path / "class/powercap/intel-rapl:0", energy_uj=content)
    with EnergyMeter(tmp_path) as meter:
        pass
    assert (meter.joules, meter.source) == (None, "")


def test_metrics_with_energy_report_it_per_frame() -> None:
    (result,) = synthetic_record(rounds=2).results
    names = [metric.name for metric in metrics_of(result)]
    assert not any("energy" in name for name in names), "not measured"
    for number, one in enumerate(result.rounds):
        one.stages.energy_mj, one.stages.energy_source = 10.0 + number, "RAPL, processor"
    (metric,) = [one for one in metrics_of(result) if "energy" in one.name]
    assert (metric.name, metric.unit) == ("energy per frame (RAPL, processor)", "mJ")
    assert (metric.rounds, metric.is_higher_better) == ([10.0, 11.0], False)

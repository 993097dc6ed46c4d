"""Tests of the NVIDIA checks on the files and tools of a Jetson."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceaffect.cli.doctor_checks import run_checks
from faceaffect.cli.nvidia_checks import jetpack_version, nvidia_checks, run_tool

ORIN = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64,"
    " DATE: Wed Jan  8 01:49:37 UTC 2025"
)


@pytest.mark.parametrize(
    ("release", "version"),
    [
        (ORIN, "JetPack 6, L4T 36.4.3"),
        ("# R38 (release), REVISION: 2.0, GCID: 1", "JetPack 7, L4T 38.2.0"),
        (
            "# R35 (release), REVISION: 5.0, GCID: 1",
            "JetPack 5 (too old: TensorRT 8; install JetPack 6 or 7), L4T 35.5.0",
        ),
        ("# R99 (release), REVISION: 1.0", "unknown JetPack, L4T 99.1.0"),
        ("something", "unknown (something)"),
    ],
)
def test_jetpack_version_from_l4t_release(release: str, version: str) -> None:
    assert jetpack_version(release) == version


def test_nvidia_checks_on_jetson(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(ORIN + "\nmore\n")
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson AGX Orin Developer Kit\0")
    for name in ("nvdla0", "nvdla1"):
        (tmp_path / "sys/class/nvdla" / name).mkdir(parents=True)

    def run(*command: str) -> str:
        return "NV Power Mode: MAXN\n0" if command == ("nvpmodel", "-q") else ""

    checks = {check.name: check for check in nvidia_checks(tmp_path, run)}
    assert checks["nvidia driver"].detail == "part of JetPack"
    assert checks["jetson"].detail == "NVIDIA Jetson AGX Orin Developer Kit"
    assert checks["jetpack"].detail == "JetPack 6, L4T 36.4.3"
    assert checks["power mode"].detail == "MAXN"
    assert checks["dla"].detail.startswith("2 cores")
    assert not {check for check in checks.values() if check.is_required}


@pytest.mark.parametrize(
    ("status", "cores"),
    [("disabled", "none on this board"), ("okay", "2 cores"), (None, "2 cores")],
)
def test_dla_cores_disabled_in_device_tree_are_not_counted(
    tmp_path: Path, status: str | None, cores: str
) -> None:
    """The device tree of an Orin Nano has the nodes of larger Orins."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text(ORIN)
    for name in ("nvdla0@15880000", "nvdla1@158c0000"):
        node = tmp_path / "proc/device-tree/bus@0/host1x@13e00000" / name
        node.mkdir(parents=True)
        (node / "compatible").write_bytes(b"nvidia,tegra234-nvdla\0")
        if status is not None:
            (node / "status").write_bytes(status.encode() + b"\0")
    (tmp_path / "proc/device-tree/nvdla-opp-table").mkdir()
    details = {check.name: check.detail for check in nvidia_checks(tmp_path, lambda *_: "")}
    assert details["dla"].startswith(cores)


def test_nvidia_checks_without_jetson_omit_jetson_checks(tmp_path: Path) -> None:
    names = [check.name for check in nvidia_checks(tmp_path, lambda *_: "")]
    assert names[0] == "nvidia driver"
    assert not {"jetpack", "power mode", "dla"} & set(names)
    assert "tensorrt" in names


def test_run_tool_missing_or_failing_returns_empty() -> None:
    assert run_tool("a-tool-that-is-nowhere") == ""
    assert run_tool("false") == ""


def test_doctor_includes_nvidia_checks() -> None:
    assert {"nvidia driver", "tensorrt", "cuda kernels"} <= {check.name for check in run_checks()}

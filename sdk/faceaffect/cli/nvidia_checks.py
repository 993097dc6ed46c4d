"""Checks of `doctor` for NVIDIA: driver, GPU, CUDA, JetPack, TensorRT, DLA, power mode."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from faceaffect.cli.doctor_check import Check

# JetPack by major release of L4T: https://developer.nvidia.com/embedded/jetpack-archive
_JETPACK_BY_L4T: Final[dict[str, str]] = {
    "35": "JetPack 5 (too old: TensorRT 8; install JetPack 6 or 7)",
    "36": "JetPack 6",
    "38": "JetPack 7",
}
_TIMEOUT_S: Final[float] = 10.0


def run_tool(*command: str) -> str:
    """Return the standard output of a tool; empty if the tool is missing or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def nvidia_checks(root: Path = Path("/"), run: Callable[..., str] = run_tool) -> Iterator[Check]:
    """Yield every check.

    Args:
        root: Root of the file system that is searched.
        run: Runs a tool and returns its output.
    """
    yield from _driver(root)
    if (root / "etc/nv_tegra_release").is_file():
        yield from _jetson(root, run)
    yield from _gpus()
    yield from _tensorrt()


def _driver(root: Path) -> Iterator[Check]:
    driver = root / "proc/driver/nvidia/version"
    version = driver.read_text(encoding="utf-8").splitlines()[0] if driver.is_file() else ""
    is_jetson = (root / "etc/nv_tegra_release").is_file()
    yield Check(
        "nvidia driver",
        version or ("part of JetPack" if is_jetson else "none"),
        bool(version) or is_jetson,
    )


def jetpack_version(release: str) -> str:
    """Return the JetPack of `# R36 (release), REVISION: 4.3, ...` in /etc/nv_tegra_release."""
    match = re.search(r"R(\d+)\b.*?REVISION:\s*([\d.]+)", release)
    if match is None:
        return f"unknown ({release})"
    return f"{_JETPACK_BY_L4T.get(match[1], 'unknown JetPack')}, L4T {match[1]}.{match[2]}"


def _jetson(root: Path, run: Callable[..., str]) -> Iterator[Check]:
    model = root / "proc/device-tree/model"
    if model.is_file():
        yield Check("jetson", model.read_text(encoding="utf-8").strip("\0\n "))
    release = (root / "etc/nv_tegra_release").read_text(encoding="utf-8").splitlines()[0]
    jetpack = jetpack_version(release)
    yield Check("jetpack", jetpack, "too old" not in jetpack)
    mode = next(
        (
            line.partition(":")[2].strip()
            for line in run("nvpmodel", "-q").splitlines()
            if "Power Mode" in line
        ),
        "",
    )
    yield Check("power mode", mode or "unknown (run `sudo nvpmodel -q`)", bool(mode))
    count = _dla_cores(root)
    command = "faceaffect build-engine --precision fp16 --dla-core 0"
    usage = f"{count} cores ({command}; needs a TensorRT release with DLA support)"
    yield Check("dla", usage if count else "none on this board")


def _dla_cores(root: Path) -> int:
    """Return the number of DLA cores of the driver, else of the device tree.

    Boards without DLA have its device tree nodes disabled.
    """
    driver_nodes = list((root / "sys/class/nvdla").glob("*"))
    if driver_nodes:
        return len(driver_nodes)
    nodes = [
        path
        for path in (root / "proc/device-tree").glob("**/nvdla*")
        if (path / "compatible").is_file()
    ]
    return sum(_status(node) in ("", "okay", "ok") for node in nodes)


def _status(node: Path) -> str:
    """Return the status of a device tree node; empty, which means enabled, if it has none."""
    status = node / "status"
    return status.read_text(encoding="utf-8").strip("\0\n ") if status.is_file() else ""


def _gpus() -> Iterator[Check]:
    from faceaffect.kernels.native import native

    if native is None or not native.has_cuda:
        yield Check(
            "cuda kernels", "not built (needs nvcc; rebuild with FACEAFFECT_CUDA=ON)", False
        )
        return
    architectures = native.cuda_architectures.replace(",", ", sm_")
    yield Check("cuda kernels", f"CUDA {_release(native.runtime_version())}, sm_{architectures}")
    try:
        count = native.device_count()
    except native.CudaError as error:
        yield Check("gpu", str(error), False)
        return
    for index in range(count):
        facts = native.device_facts(index)
        capability = ".".join(map(str, facts["compute_capability"]))
        memory = f"{facts['free_bytes'] / 1e9:.1f} of {facts['total_bytes'] / 1e9:.1f} GB free"
        driver = f"driver for CUDA {_release(native.driver_version())}"
        description = f"{facts['name']}, compute capability {capability}, {memory}, {driver}"
        yield Check(f"gpu cuda:{index}", description)


def _release(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _tensorrt() -> Iterator[Check]:
    from faceaffect.backends.engine_cache import user_cache_dir
    from faceaffect.backends.tensorrt_compat import find_tensorrt

    library, reason = find_tensorrt()
    yield Check("tensorrt", str(library) if library else reason, library is not None)
    folder = user_cache_dir() / "engines"
    engines = list(folder.glob("*.engine"))
    if library is not None or engines:
        size_mb = sum(path.stat().st_size for path in engines) / 1e6
        yield Check("engines", f"{len(engines)} in {folder}, {size_mb:.0f} MB")

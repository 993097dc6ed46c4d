"""Errors for a CUDA driver that is too old, sees no GPU or does not start (a fake driver)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import faceaffect
from faceaffect import kernels

pytestmark = pytest.mark.skipif(not kernels.build_info().has_cuda, reason="built without CUDA")
SOURCE = Path(__file__).resolve().parents[2] / "native/fake_driver.c"
SDK = Path(next(iter(faceaffect.__path__))).parent

OLD, NO_DEVICE, BROKEN = (11040, 0), (99000, 100), (99000, 803)
MESSAGES = {
    OLD: r"the driver knows CUDA 11.4, these kernels need ",
    NO_DEVICE: (
        "no NVIDIA GPU is visible to this process; check `nvidia-smi` and CUDA_VISIBLE_DEVICES"
    ),
    BROKEN: "the driver does not work; `nvidia-smi` and `dmesg` tell why",
}

AUTO = """
from faceaffect.backends import registry
from faceaffect.bundle.bundle import open_bundle
registry.has_nvidia_gpu = lambda: True
print(registry.open_backend("auto", open_bundle()).name)
"""


def run(
    tmp_path: Path, driver: tuple[int, int], *arguments: str
) -> subprocess.CompletedProcess[str]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler to make up a driver")
    version, start = driver
    command = [
        compiler,
        "-shared",
        "-fPIC",
        f"-DVERSION={version}",
        f"-DINIT={start}",
        "-o",
        str(tmp_path / "libcuda.so.1"),
    ]
    subprocess.run([*command, str(SOURCE)], check=True)
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(SDK)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=120
    )


@pytest.mark.parametrize("driver", list(MESSAGES), ids=["too old", "no GPU", "broken"])
def test_backends_with_unusable_driver_name_cause_and_remedy(
    tmp_path: Path, driver: tuple[int, int], trained: None
) -> None:
    done = run(tmp_path, driver, "-m", "faceaffect", "build-engine")
    assert done.returncode == 1
    assert MESSAGES[driver] in done.stderr
    assert "use --backend onnx" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(tmp_path, driver, "-c", AUTO)
    assert done.stdout == "onnx\n", done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, "one visible line"
    assert "running on the CPU with ONNX Runtime, since" in lines[0]
    assert MESSAGES[driver] in lines[0]

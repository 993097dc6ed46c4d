"""CUDA kernels compile for every architecture of the wheels, sm_75 to sm_120, without warnings."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NVCC, CUOBJDUMP = shutil.which("nvcc"), shutil.which("cuobjdump")
ARCHITECTURES = ["75", "80", "86", "87", "89", "90", "110", "120"]
TIMEOUT_S = 900  # a minute or two on idle cores


def test_build_lists_all_wheel_architectures() -> None:
    match = re.search(
        r"foreach\(architecture ([\d ]+)\)", (ROOT / "csrc/cuda.cmake").read_text(encoding="utf-8")
    )
    assert match is not None
    assert match[1].split() == ARCHITECTURES


@pytest.mark.timeout(TIMEOUT_S + 30)
def test_kernels_compile_for_all_wheel_architectures(tmp_path: Path) -> None:
    if NVCC is None:
        pytest.skip("needs nvcc")
    known = subprocess.run(
        [NVCC, "--list-gpu-code"], capture_output=True, text=True, check=True
    ).stdout.split()
    architectures = [number for number in ARCHITECTURES if f"sm_{number}" in known]
    assert len(architectures) >= 6, f"this nvcc supports only {known}"
    files = sorted((ROOT / "csrc").glob("*.cu"))
    assert len(files) == 4
    # One file, so that the compiler reads CUDA's headers once per architecture.
    source = tmp_path / "kernels.cu"
    source.write_text("".join(f'#include "{file}"\n' for file in files), encoding="utf-8")
    codes = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in architectures]
    options = [
        "-std=c++17",
        "--fmad=false",
        "--threads=2",
        "-Werror=all-warnings",
        "-Xcompiler",
        "-Wall,-Wextra",
        f"-I{ROOT / 'csrc'}",
    ]
    command = [NVCC, *options, *codes, "-c", "-o", str(tmp_path / "kernels.o"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr[-3000:]
    if CUOBJDUMP is not None:
        listed = subprocess.run(
            [CUOBJDUMP, "--list-elf", str(tmp_path / "kernels.o")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert sorted(re.findall(r"sm_(\d+)", listed.stdout), key=int) == architectures

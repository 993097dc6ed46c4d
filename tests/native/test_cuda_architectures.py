"""The kernels compile for every GPU that a wheel is for: sm_75 to sm_120, warnings being errors."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NVCC, CUOBJDUMP = shutil.which("nvcc"), shutil.which("cuobjdump")
WANTED = ["75", "80", "86", "87", "89", "90", "110", "120"]
LONGEST_S = 900  # a minute or two on idle cores


def test_the_build_names_them() -> None:
    found = re.search(
        r"foreach\(architecture ([\d ]+)\)", (ROOT / "csrc/cuda.cmake").read_text(encoding="utf-8")
    )
    assert found is not None
    assert found[1].split() == WANTED


@pytest.mark.timeout(LONGEST_S + 30)
def test_all_kernels_compile_for_all_of_them(tmp_path: Path) -> None:
    if NVCC is None:
        pytest.skip("needs nvcc")
    known = subprocess.run(
        [NVCC, "--list-gpu-code"], capture_output=True, text=True, check=True
    ).stdout.split()
    architectures = [number for number in WANTED if f"sm_{number}" in known]
    assert len(architectures) >= 6, f"this nvcc knows {known} only"
    files = sorted((ROOT / "csrc").glob("*.cu"))
    assert len(files) == 4
    # As one file, so that the compiler reads CUDA's headers once for each.
    whole = tmp_path / "whole.cu"
    whole.write_text("".join(f'#include "{file}"\n' for file in files), encoding="utf-8")
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
    command = [NVCC, *options, *codes, "-c", "-o", str(tmp_path / "whole.o"), str(whole)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 0, done.stderr[-3000:]
    if CUOBJDUMP is not None:
        listed = subprocess.run(
            [CUOBJDUMP, "--list-elf", str(tmp_path / "whole.o")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert sorted(re.findall(r"sm_(\d+)", listed.stdout), key=int) == architectures

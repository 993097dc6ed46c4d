"""The wheel for 64-bit Arm: cross-compiled, and its kernel tests run in an emulator.

FACEAFFECT_ARM_PYTHON names the folder written by make_arm_python.py; the default is that of
`make tools`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARM = Path(os.environ.get("FACEAFFECT_ARM_PYTHON") or ROOT / "build/tools/arm")
SOURCES = (
    "CMakeLists.txt",
    "csrc",
    "sdk",
    "pyproject.toml",
    "LICENSE",
    "README.md",
)
BUILD = (
    "import sys; sys.executable = {!r}; "
    "from scikit_build_core.build import build_wheel; print(build_wheel({!r}))"
)
# Test files that start neither a compiler nor another Python.
TESTS = (
    "test_native_kernels",
    "test_kernel_bounds",
    "test_kernel_errors",
    "test_gcn_weights",
    "test_reference",
)
TIMEOUT_S = 800  # takes about 70 s on two idle cores

pytestmark = [
    pytest.mark.skipif(
        not (ARM / "python").is_file(),
        reason="needs a Python for 64-bit Arm, which `make tools` fetches",
    ),
    pytest.mark.timeout(TIMEOUT_S + 100),
]


def run_on_arm(
    code: str, cwd: Path, *arguments: str, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"} | more
    command = [str(ARM / "python"), "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=TIMEOUT_S
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name,
                source / name,
                ignore=shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info"),
            )
        else:
            shutil.copy(ROOT / name, source)
    more = {"CMAKE_TOOLCHAIN_FILE": str(ARM / "toolchain.cmake"), "FACEAFFECT_CUDA": "OFF"}
    more |= {"FACEAFFECT_NATIVE": "ON", "FACEAFFECT_WERROR": "ON"}
    done = run_on_arm(BUILD.format(str(ARM / "python"), str(out)), source, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (built,) = out.glob("*.whl")
    return built


def test_arm_wheel_has_native_module_and_models(wheel: Path) -> None:
    assert re.fullmatch(r"faceaffect-.*-cp3\d+-cp3\d+-linux_aarch64\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
        (native,) = [name for name in names if "/_native." in name and name.endswith(".so")]
        head = content.read(native)[:20]
    assert "aarch64" in native
    assert (head[:4], head[18]) == (b"\x7fELF", 183), "183 is EM_AARCH64"
    assert "faceaffect/models/default/spec.json" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [
        name for name in names if name.startswith(("tests", "training", "export", "benchmarks"))
    ]


def test_arm_wheel_passes_kernel_tests(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    for part in ("csrc", "tests/sdk/kernels", "tests/native"):
        shutil.copytree(ROOT / part, tmp_path / part)
    (tmp_path / "benchmarks").mkdir()
    for file in (
        "pyproject.toml",
        "CMakeLists.txt",
        "benchmarks/__init__.py",
        "benchmarks/kernel_cases.py",
    ):
        shutil.copy(ROOT / file, tmp_path / file)
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"tests/sdk/kernels/{name}.py" for name in TESTS),
    ]
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    done = run_on_arm(code, tmp_path, *arguments, PYTHONPATH=str(tmp_path / "installed"))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 300
    assert "failed" not in done.stdout
    info = run_on_arm(
        "from faceaffect import kernels; print(kernels.build_info())",
        tmp_path,
        PYTHONPATH=str(tmp_path / "installed"),
    )
    assert info.stdout.startswith("native, neon of baseline, neon"), info.stdout + info.stderr

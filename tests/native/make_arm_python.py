"""Creates an emulated Python for 64-bit Arm that builds and tests the wheel.

Usage: `make_arm_python.py OUT`.

OUT/python runs it, OUT/toolchain.cmake is the CMake toolchain. Python comes from the system's
arm64 packages, which are unpacked into OUT and never installed; NumPy and the rest are wheels.
Needs apt, pip with a package index, and the Debian packages crossbuild-essential-arm64 and
qemu-user-static.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

DEBS = (
    "libc6",
    "libstdc++6",
    "libgcc-s1",
    "zlib1g",
    "libexpat1",
    "libffi8",
    "libssl3",
    "libbz2-1.0",
    "liblzma5",
    "libsqlite3-0",
    "libuuid1",
)
WHEELS = (
    "numpy>=1.26,<3",
    "safetensors>=0.4,<1",
    "scikit-build-core>=0.11,<2",
    "pybind11>=2.12,<4",
    "platformdirs>=4,<5",
    "pytest>=8,<10",
    "pytest-timeout>=2.3,<3",
    "onnx>=1.16,<2",
    "opencv-python-headless>=4.9,<6",
    "click>=8.1,<9",
    "rich>=13.7,<16",
)
RELEASES = ("3.11", "3.12", "3.10")  # the system has packages of one of them
PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, cwd=cwd
    ).stdout


def unpack_system(out: Path) -> str:
    """Unpacks Python into OUT/root and returns its release. apt keeps its lists in OUT, so that the
    system is not changed.
    """
    apt_folder = out / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "debs"):
        (apt_folder / folder).mkdir(parents=True, exist_ok=True)
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Dir::State::lists": apt_folder / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": apt_folder / "cache",
    }
    apt = [
        "apt-get",
        "-qq",
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
    ]
    run(*apt, "update")
    for release in RELEASES:
        parts = (
            f"python{release}-minimal",
            *(f"libpython{release}{part}" for part in ("", "-minimal", "-stdlib", "-dev")),
        )
        try:
            run(*apt, "download", *parts, *DEBS, cwd=apt_folder / "debs")
        except subprocess.CalledProcessError:
            continue
        for package in sorted((apt_folder / "debs").glob("*.deb")):
            run("dpkg", "-x", package, out / "root")
        return release
    raise SystemExit(f"the system's packages for arm64 have no Python {', '.join(RELEASES)}")


def add_wheels(out: Path, release: str) -> None:
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--only-binary=:all:",
        "--python-version",
        release,
    ]
    run(*command, *platforms, "-d", out / "wheels", *WHEELS)
    for wheel in sorted((out / "wheels").glob("*.whl")):
        zipfile.ZipFile(wheel).extractall(out / "site")


def write_programs(out: Path, release: str) -> None:
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None or shutil.which("aarch64-linux-gnu-g++") is None:
        raise SystemExit("needs crossbuild-essential-arm64 and qemu-user-static (Debian packages)")
    program = out / "python"
    root = out / "root"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{out / "site"}" '
        f'exec {emulator} -L {root} {root}/usr/bin/python{release} "$@"\n'
    )
    program.chmod(0o755)
    (out / "toolchain.cmake").write_text(
        "set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_SYSTEM_PROCESSOR aarch64)\n"
        "set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)\n"
        f"set(Python_INCLUDE_DIR {root}/usr/include/python{release})\n"
        # pyconfig.h of the architecture
        f'set(CMAKE_CXX_FLAGS_INIT "-isystem {root}/usr/include")\n'
    )


def main() -> None:
    out = Path(sys.argv[1]).resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    release = unpack_system(out)
    add_wheels(out, release)
    write_programs(out, release)
    code = "import sys, numpy; print(sys.version, numpy.__version__)"
    print(f"{out / 'python'}: {run(out / 'python', '-c', code).strip()}")


if __name__ == "__main__":
    main()

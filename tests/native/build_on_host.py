"""Compiles the CUDA kernels for the host (run_on_host.h) as a library for tests."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from faceaffect.kernels.reference import split_planes
from faceaffect.types import Frame

ROOT = Path(__file__).resolve().parents[2]
CHECKS = "-fsanitize=signed-integer-overflow,shift,bounds,float-cast-overflow,null"


@functools.cache
def kernels_on_host() -> ctypes.CDLL:
    """Returns the library, compiled once per session; skips without a suitable compiler."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("needs a C++ compiler to compile the kernels for the host")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        command = [
            compiler,
            "-std=c++17",
            "-O1",
            "-fPIC",
            "-shared",
            "-ffp-contract=off",
            "-DFACEAFFECT_ON_HOST",
            CHECKS,
        ]
        command += [
            "-fsanitize-undefined-trap-on-error",
            f"-I{ROOT / 'csrc'}",
            f"-I{ROOT / 'tests/native'}",
        ]
        source = ROOT / "tests/native/kernels_on_host.cpp"
        done = subprocess.run(
            [*command, "-o", str(library), str(source)], capture_output=True, text=True
        )
        if "_Float16" in done.stderr:
            pytest.skip("this compiler has no 16-bit floats on the host")
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(library))


def plane_numbers(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Planes and color coefficients of a frame, as `host_crop_face` takes them."""
    numbers = [
        number
        for plane in split_planes(frame)
        for number in (plane.ctypes.data, plane.strides[0], *plane.shape[1::-1], plane.shape[2])
    ]
    planes = np.array(numbers + [0] * (15 - len(numbers)), np.int64)
    return planes, np.array(frame.color.coefficients, np.float32)

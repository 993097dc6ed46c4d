"""Kernels for 64-bit Arm, NEON included, run in an emulator and compared with NumPy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.kernel_cases import CASES, TIMED_CROPS, KernelCase
from faceaffect.kernels import reference
from faceaffect.types import PixelFormat

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("aarch64-linux-gnu-g++")
EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
ALL = [*CASES, *TIMED_CROPS]
ISAS = ("baseline", "neon")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None or EMULATOR is None:
        pytest.skip("needs crossbuild-essential-arm64 and qemu-user-static (Debian packages)")
    folder = tmp_path_factory.mktemp("aarch64")
    flags = [
        "-std=c++17",
        "-O2",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-DFACEAFFECT_HAS_NEON",
    ]
    flags += [f"-I{ROOT / 'csrc'}"]
    jobs = [
        (
            ROOT / "csrc" / f"{op}_cpu.cpp",
            f"{op}_{isa}.o",
            [f"-DFACEAFFECT_ISA={isa}", f"-DFACEAFFECT_ISA_{isa}"],
        )
        for op in ("crop_face", "normalize", "au_gcn")
        for isa in ISAS
    ]
    jobs += [
        (ROOT / "csrc" / f"{name}.cpp", f"{name}.o", [])
        for name in ("workspace", "instruction_sets")
    ]
    jobs += [(ROOT / "tests/native/run_cases.cpp", "run_cases.o", [])]
    for source, target, more in jobs:
        subprocess.run(
            [COMPILER, *flags, *more, "-c", str(source), "-o", str(folder / target)], check=True
        )
    objects = [str(folder / target) for _, target, _ in jobs]
    subprocess.run([COMPILER, "-static", *objects, "-o", str(folder / "run_cases")], check=True)
    return folder / "run_cases"


def pack_case(case: KernelCase, arguments: dict[str, Any]) -> bytes:
    """Returns a case in the format that run_cases.cpp reads."""
    if case.op == "crop_face":
        frame = arguments["frame"]
        crop_to_frame = np.asarray(arguments["crop_to_frame"], np.float32)
        pixels = np.ascontiguousarray(frame.pixels)
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        head = [
            0,
            list(PixelFormat).index(frame.pixel_format),
            *pixels.shape[:2],
            channels,
            arguments["size_px"],
            len(crop_to_frame),
        ]
        planes = b"".join(plane.tobytes() for plane in (pixels, *(frame.chroma or ())))
        color = np.array(frame.color.coefficients, np.float32)
        body = color.tobytes() + planes + crop_to_frame.tobytes()
    elif case.op == "normalize":
        pixels = arguments["pixels"]
        head, body = [1, len(pixels), pixels.shape[1] * pixels.shape[2]], pixels.tobytes()
    else:
        nodes, graph = arguments["nodes"], arguments["weights"].packed
        widths = graph.widths + [0] * (9 - len(graph.widths))
        head, body = (
            [2, len(nodes), len(graph.widths) - 1, *widths],
            graph.flat().tobytes() + nodes.tobytes(),
        )
    statistics = (
        b""
        if case.op == "au_gcn"
        else np.array([*arguments["mean"], *arguments["std"]], np.float32).tobytes()
    )
    return np.array(head, np.int64).tobytes() + body + statistics


@pytest.mark.parametrize("isa", ISAS)
def test_kernels_on_64_bit_arm_equal_reference(runner: Path, isa: str) -> None:
    """Runs the emulator once for all cases: starting it takes longer than most cases."""
    cases = [(case, case.make()) for case in ALL]
    content = b"".join(pack_case(case, arguments) for case, arguments in cases)
    done = subprocess.run(
        [str(EMULATOR), str(runner), isa], input=content, capture_output=True, check=True
    )
    answers = np.frombuffer(done.stdout, np.float32)
    at = 0
    for case, arguments in cases:
        expected = getattr(reference, case.op)(**arguments)
        got = answers[at : at + expected.size].reshape(expected.shape)
        at += expected.size
        np.testing.assert_allclose(
            got, expected, rtol=case.tolerance, atol=case.tolerance, err_msg=str(case)
        )
    assert at == len(answers) > 0

"""The CUDA code without a GPU: real PTX and the real native module over a stand-in runtime.

`cuda_standin/README.md` says what that proves and what not. FACEAFFECT_STANDIN_BUILD names another
folder for the build, which later runs reuse.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.native.cuda_standin.build import (
    ROOT,
    Standin,
    build,
    build_library,
    cuda_folder,
    missing_tools,
)
from tests.native.cuda_standin.run_check import CHECKS, run_module

BUILD = Path(os.environ.get("FACEAFFECT_STANDIN_BUILD") or ROOT / "build/cuda_standin")
KERNELS = "kernels"
pytestmark = pytest.mark.timeout(900)  # the first build takes minutes

Check = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def standin() -> Standin:
    missing = missing_tools()
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return build(BUILD)


@pytest.fixture
def check(standin: Standin, trained: None, tmp_path: Path) -> Check:
    def run(name: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return run_module(standin, tmp_path, f"{CHECKS}.{name}", *arguments, **settings)

    return run


def expect_right(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-2500:]}"


def test_kernels_on_every_case_match_the_reference(check: Check) -> None:
    """Memory is freed without waiting for kernels, so that inputs must outlive them."""
    expect_right(check(KERNELS, FACEAFFECT_STANDIN_FREE_AT_ONCE="1"))


def test_pipeline_on_the_demo_clip_matches_the_cpu(check: Check) -> None:
    expect_right(check("pipeline", FACEAFFECT_STANDIN_DELAY_US="300"))


def test_detector_on_the_gpu_matches_the_cpu_and_is_not_waited_for(check: Check) -> None:
    expect_right(check("detector"))


def test_frame_runner_under_stress_gives_right_results_or_backend_errors(check: Check) -> None:
    expect_right(check("stress", FACEAFFECT_STANDIN_DELAY_US="100"))


def test_walking_face_is_replayed_with_few_calls_and_no_allocation(check: Check) -> None:
    expect_right(check("walking_face"))


def test_padded_device_frame_is_downloaded_in_one_copy_per_plane(check: Check) -> None:
    expect_right(check("padded_download"))


def test_reported_error_is_not_raised_by_the_next_launch(check: Check) -> None:
    expect_right(check("stale_error"))


def test_current_device_of_the_caller_is_kept(check: Check) -> None:
    expect_right(check("devices", FACEAFFECT_STANDIN_DEVICES="2"))


def test_process_with_an_open_pipeline_exits_in_order(check: Check) -> None:
    expect_right(check("exit"))


def test_kernels_keep_their_instruction_budgets(check: Check, tmp_path: Path) -> None:
    expect_right(check("instructions", FACEAFFECT_STANDIN_PROFILE=str(tmp_path / "profile")))


def test_zero_copy_on_an_integrated_gpu_copies_nothing(check: Check) -> None:
    expect_right(check("zero_copy", FACEAFFECT_STANDIN_INTEGRATED="1"))


def test_memory_freed_before_its_kernel_ran_is_found(check: Check) -> None:
    done = check("freed_memory", FACEAFFECT_STANDIN_FREE_AT_ONCE="1")
    assert done.returncode == 1
    assert "not allocated" in done.stderr
    expect_right(check("freed_memory"))


EDGE = "x >= params.size_px"
FAULTS = {
    "missing barrier": ("au_gcn_cuda.cu", "__syncthreads();", "", "au_gcn", "RACE"),
    "wrong edge": (
        "crop_face_cuda.cu",
        EDGE,
        EDGE.replace(">=", ">"),
        "crop_face",
        "RACE|ERROR 700",
    ),
    "fused multiply-add": ("crop_face_cuda.cu", "", "", "crop_face", "differs|no case ran"),
}
"""Source, what is replaced by what, the cases that run, and what is found."""


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_in_a_kernel_is_found(
    fault: str, standin: Standin, check: Check, tmp_path: Path
) -> None:
    """The kernels of one source file are built with the fault and replace the real ones."""
    source, right, wrong, kernel, evidence = FAULTS[fault]
    text = (ROOT / "csrc" / source).read_text(encoding="utf-8")
    assert right in text
    changed = tmp_path / source
    changed.write_text(text.replace(right, wrong, 1) if right else text, encoding="utf-8")
    nvcc = shutil.which("nvcc")
    assert nvcc is not None
    options = ["-std=c++17", "-arch=compute_87", f"-I{ROOT / 'csrc'}"]
    options += [] if fault == "fused multiply-add" else ["--fmad=false"]
    ptx = tmp_path / "kernel.ptx"
    subprocess.run([nvcc, "-ptx", *options, "-o", str(ptx), str(changed)], check=True)
    ptx.write_bytes(ptx.read_bytes() + b"\0")
    library = build_library(tmp_path, [ptx], [f"-I{cuda_folder(nvcc)}/include"])
    done = check(
        KERNELS,
        kernel,
        LD_PRELOAD=str(library),
        FACEAFFECT_STANDIN_LIBRARY=str(library),
    )
    assert done.returncode == 1, done.stdout
    assert re.search(evidence, done.stdout + done.stderr), done.stdout + done.stderr[-2000:]

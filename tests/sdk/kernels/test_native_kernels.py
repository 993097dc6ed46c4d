"""Every implementation of every kernel, on every case, against the NumPy definition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.kernel_cases import CASES, TIMED_CROPS, KernelCase
from faceaffect import kernels
from faceaffect.kernels import reference
from faceaffect.kernels.native import native

ROOT = Path(__file__).resolve().parents[3]
OPS = ("crop_face", "normalize", "au_gcn")
USABLE = tuple(native.usable_isas()) if native else ("native module missing",)


@pytest.fixture(params=USABLE)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    if native is None:
        pytest.fail("the native module is not built; run `pip install -e .`")
    before = native.chosen_isa()
    native.use_isa(request.param)
    yield request.param
    native.use_isa(before)


def poisoned(shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


@pytest.mark.parametrize("case", [*CASES, *TIMED_CROPS], ids=str)
def test_native_kernel_matches_numpy(case: KernelCase, isa: str) -> None:
    arguments = case.make()
    expected = getattr(reference, case.op)(**arguments)
    out = poisoned(expected.shape)
    assert getattr(kernels, case.op)(**arguments, out=out) is out
    np.testing.assert_allclose(out, expected, rtol=case.tolerance, atol=case.tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_with_new_output_returns_same(case: KernelCase) -> None:
    arguments = case.make()
    fresh = getattr(kernels, case.op)(**arguments)
    assert fresh.dtype == np.float32
    np.testing.assert_array_equal(
        fresh, getattr(kernels, case.op)(**arguments, out=poisoned(fresh.shape))
    )


def test_kernel_cases_cover_every_operation() -> None:
    assert {case.op for case in CASES} == set(OPS)
    assert len({str(case) for case in CASES}) == len(CASES)


def test_kernel_sources_exist_for_cpu_and_cuda() -> None:
    listed = re.search(r"set\(OPS ([^)]*)\)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))
    assert listed is not None
    assert tuple(listed[1].split()) == OPS
    for op in OPS:
        for suffix in (".h", "_cpu.cpp", "_cuda.cu"):
            assert (ROOT / "csrc" / f"{op}{suffix}").is_file()
        assert hasattr(reference, op)
        assert hasattr(kernels, op)
